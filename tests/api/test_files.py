"""Writing: whole or not at all, never over a user's edits, and never outside the folder."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_same_outputs, build, convert, dense, placeholder

import tf2ms
from tf2ms.errors import GraphError, OutputError, SourceError


def small():
    x, y = placeholder([4, 5], "x"), placeholder([4, 3], "y")
    o = dense(dense(x, 6, "hidden", relu=True), 3, "out")
    return [o], tf.sqrt(tf.reduce_sum(tf.square(o - y))) * 0.5


@pytest.fixture(scope="module")
def built():
    return build(small, 4)


@pytest.fixture
def conversion(built, tmp_path):
    return convert(built, tmp_path, name="Small")


def test_three_files(conversion, tmp_path):
    paths = conversion.write(tmp_path / "new" / "out")
    assert [path.name for path in paths] == ["small_ms.py", "small.map.json", "small.ckpt"]
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == sorted(path.name for path in paths)
    assert paths[0].read_text() == conversion.code
    written = json.loads(paths[1].read_text())
    assert {key: value for key, value in written.items() if key != "sha256"} == conversion.map


def test_written_again_over_itself(conversion, tmp_path):
    first = conversion.write(tmp_path / "out")
    content = [path.read_bytes() for path in first]
    assert conversion.write(tmp_path / "out") == first
    assert [path.read_bytes() for path in first] == content


def test_an_edited_file_is_refused_without_force(conversion, tmp_path):
    module, map_file, checkpoint = conversion.write(tmp_path / "out")
    module.write_text(conversion.code + "# mine\n")
    before = {path: path.read_bytes() for path in (module, map_file, checkpoint)}
    with pytest.raises(OutputError, match="--force"):
        conversion.write(tmp_path / "out")
    assert {path: path.read_bytes() for path in before} == before
    conversion.write(tmp_path / "out", force=True)
    assert module.read_text() == conversion.code


@pytest.mark.parametrize("content", [None, "", "no json", "[]", "{}", '{"sha256": 5}', "\udcff"])
def test_a_file_whose_map_is_gone_or_broken_counts_as_edited(conversion, tmp_path, content):
    module, map_file, _ = conversion.write(tmp_path / "out")
    module.write_text("mine")
    if content is None:
        map_file.unlink()
    else:
        map_file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(OutputError):
        conversion.write(tmp_path / "out")
    assert module.read_text() == "mine"


def test_a_file_in_the_place_of_the_folder(conversion, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="-o"):
        conversion.write(tmp_path / "file")
    with pytest.raises(OutputError):
        conversion.write(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_in_the_place_of_a_file(conversion, tmp_path):
    (tmp_path / "out" / "small.map.json" / "x").mkdir(parents=True)
    with pytest.raises(OutputError):
        conversion.write(tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.py"))


def test_a_module_place_that_is_a_folder(conversion, tmp_path):
    (tmp_path / "out" / "small_ms.py").mkdir(parents=True)
    with pytest.raises(OutputError):
        conversion.write(tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.json"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(conversion, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(OutputError):
        conversion.write(tmp_path / "out")


def test_a_failure_in_the_middle_leaves_what_was_there(conversion, tmp_path, monkeypatch):
    paths = conversion.write(tmp_path / "out")
    before = {path: path.read_bytes() for path in paths}
    from tf2ms.emit import files

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_checkpoint", full)
    with pytest.raises(OutputError, match="No space"):
        conversion.write(tmp_path / "out")
    assert {path: path.read_bytes() for path in before} == before
    assert sorted((tmp_path / "out").iterdir()) == sorted(paths)


def test_weights_that_mindspore_cannot_load_are_refused_whole(tmp_path):
    """Nothing half-written when the checkpoint cannot be."""
    from dataclasses import replace

    with tf.Graph().as_default() as graph:
        dense(placeholder([None, 5], "x"), 3)
    conversion = tf2ms.convert(graph)
    broken = replace(conversion, weights={"fc.weight": np.zeros((3, 5), "complex64")})
    with pytest.raises(tf2ms.Tf2msError):
        broken.write(tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


# -- running -----------------------------------------------------------------------------------------------------------


def test_run_takes_tensors_or_nodes(built, conversion):
    assert_same_outputs(built, conversion)
    (first,) = conversion.run({"x": built.feeds["x:0"]})
    (second,) = conversion.run({"x:0": built.feeds["x:0"], "y:0": built.feeds["y:0"]}, mode="graph")
    assert np.abs(first - second).max() < 1e-6


def test_run_names_what_is_not_fed(conversion):
    with pytest.raises(GraphError, match=r"x:0.*not fed"):
        conversion.run({"y": np.zeros((4, 3), np.float32)})


def test_run_leaves_the_mode_alone(built, conversion):
    import mindspore as ms

    before = ms.get_context("mode")
    conversion.run(built.feeds, mode="graph")
    assert ms.get_context("mode") == before


def test_another_batch_size_runs(tmp_path):
    def free():
        return [dense(placeholder([None, 5], "x"), 3)]

    built = build(free, 3)
    conversion = convert(built, tmp_path)
    x = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    for mode in ("pynative", "graph"):
        (actual,) = conversion.run({"x": x}, mode=mode)
        assert np.allclose(actual, x @ built.values["fc/weights"] + built.values["fc/biases"], atol=1e-5)


# -- sources in memory -------------------------------------------------------------------------------------------------


def test_a_graph_in_memory(built):
    codes = {tf2ms.convert(source).code for source in (built.graph, built.graph_def, built.graph.as_graph_def())}
    assert len(codes) == 1


@pytest.mark.parametrize("source", [None, 5, b"abc", [], {}, 1.5], ids=repr)
def test_what_is_no_graph(source):
    with pytest.raises(SourceError):
        tf2ms.convert(source)
    with pytest.raises(SourceError):
        tf2ms.inspect(source)


def test_the_same_input_gives_the_same_bytes_in_another_process(built, tmp_path):
    (tmp_path / "g.pb").write_bytes(built.graph_def.SerializeToString())
    script = f"import tf2ms, sys; sys.stdout.write(tf2ms.convert({str(tmp_path / 'g.pb')!r}, name='Small').code)"
    texts = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        texts.add(done.stdout)
    assert texts == {tf2ms.convert(tmp_path / "g.pb", name="Small").code}


def test_neither_framework_is_imported_for_a_graph_with_shapes(built, tmp_path):
    (tmp_path / "g.pb").write_bytes(built.graph_def.SerializeToString())
    script = (
        f"import sys, tf2ms; tf2ms.convert({str(tmp_path / 'g.pb')!r}).write({str(tmp_path / 'out')!r});"
        "print([m for m in ('tensorflow', 'mindspore', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- the generated script ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(built, tmp_path_factory):
    path = tmp_path_factory.mktemp("script")
    convert(built, path, name="Small").write(path)
    return path


def run_script(folder, *arguments, check=True):
    command = [sys.executable, "small_ms.py", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=check)


def test_the_script_trains_saves_resumes_and_predicts(folder, built):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 5)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=rng.standard_normal((12, 3)).astype(np.float32))
    common = ("--data", "data.npz", "--batch-size", 4, "--mode", "pynative")
    first = run_script(folder, *common, "--epochs", 2, "--checkpoint", "small.ckpt")
    assert first.stdout.count("loss is") == 6
    saved = sorted((folder / "checkpoints").glob("*.ckpt"))
    assert len(saved) == 2
    resumed = run_script(folder, *common, "--epochs", 3, "--resume", saved[-1])
    assert resumed.stdout.count("loss is") == 3
    assert "epoch: 3" in resumed.stdout
    run_script(folder, *common, "--predict", "out.npz", "--checkpoint", "small.ckpt")
    (actual,) = np.load(folder / "out.npz").values()
    hidden = np.maximum(x @ built.values["hidden/weights"] + built.values["hidden/biases"], 0)
    assert np.allclose(actual, hidden @ built.values["out/weights"] + built.values["out/biases"], atol=1e-5)


def test_the_script_helps(folder):
    text = run_script(folder, "--help").stdout
    for option in (
        "--device-target",
        "--data",
        "--epochs",
        "--batch-size",
        "--learning-rate",
        "--resume",
        "--distributed",
    ):
        assert option in text


def test_a_checkpoint_of_something_else_is_refused_by_the_script(folder):
    import mindspore as ms

    ms.save_checkpoint([{"name": "other", "data": ms.Tensor([1.0])}], str(folder / "other.ckpt"))
    done = run_script(folder, "--checkpoint", "other.ckpt", check=False)
    assert done.returncode != 0
    assert "lacks the parameters" in done.stderr
