"""The generated script as its owner runs it: killed and resumed, and by two workers."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tf2ms

BATCH, BATCHES = 4, 3


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer network with a mean loss and momentum, its script, and data of three batches."""
    import tensorflow as tf

    v1 = tf.compat.v1
    folder = tmp_path_factory.mktemp("script")
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(3)
        x, y = v1.placeholder(tf.float32, [None, 6], name="x"), v1.placeholder(tf.float32, [None, 2], name="y")
        hidden = tf.tanh(v1.nn.xw_plus_b(x, v1.get_variable("hidden/w", [6, 8]), v1.get_variable("hidden/b", [8])))
        out = v1.nn.xw_plus_b(hidden, v1.get_variable("out/w", [8, 2]), v1.get_variable("out/b", [2]))
        loss = tf.reduce_mean(tf.square(out - y))
        v1.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
        (folder / "small.pb").write_bytes(graph.as_graph_def(add_shapes=True).SerializeToString())
    tf2ms.convert(folder / "small.pb").write(folder)
    random = np.random.default_rng(0)
    rows = BATCH * BATCHES
    data = {"x": random.normal(size=(rows, 6)), "y": random.normal(size=(rows, 2))}
    np.savez(folder / "data.npz", **{name: array.astype(np.float32) for name, array in data.items()})
    return folder / "small_ms.py"


def arguments(script: Path, save: Path, epochs: int, batch: int = BATCH) -> list[str]:
    data = script.with_name("data.npz")
    return [str(script), f"--data={data}", f"--batch-size={batch}", f"--epochs={epochs}", f"--save-dir={save}"]


def checkpoints(folder: Path) -> dict[int, Path]:
    """Epoch to file."""
    return {int(re.search(r"-(\d+)_\d+\.ckpt$", path.name)[1]): path for path in folder.glob("*-*_*.ckpt")}  # type: ignore[index]


def values(path: Path) -> dict[str, np.ndarray]:
    import mindspore as ms

    return {name: item.asnumpy() for name, item in ms.load_checkpoint(str(path)).items()}


def last(folder: Path) -> Path:
    found = checkpoints(folder)
    return found[max(found)]


def wait(process: subprocess.Popen[str]) -> None:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output


def start(command: list[str], folder: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])  # msrun calls `python`
    environment = {**os.environ, "PATH": path}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)


def kill_at(process: subprocess.Popen[str], folder: Path, epoch: int) -> None:
    """Kills the run without warning once the checkpoint of `epoch` is there."""
    deadline = time.monotonic() + 240
    while max(checkpoints(folder), default=0) < epoch:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_killed_run_resumes_on_the_same_trajectory(script: Path, tmp_path: Path) -> None:
    whole, killed, resumed = (tmp_path / name for name in ("whole", "killed", "resumed"))
    epochs = 300
    straight = start([sys.executable, *arguments(script, whole, epochs)], tmp_path)
    kill_at(start([sys.executable, *arguments(script, killed, epochs)], tmp_path), killed, 3)
    wait(straight)
    done = max(checkpoints(killed))
    assert 3 <= done < epochs
    resume = [sys.executable, *arguments(script, resumed, epochs), f"--resume={last(killed)}"]
    wait(start(resume, tmp_path))
    expected, got = values(last(whole)), values(last(resumed))
    assert expected["epoch_num"] == got["epoch_num"] == epochs
    assert expected.keys() == got.keys() and any("moment" in name for name in got)
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


@pytest.fixture()
def port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    yield number


def test_two_workers_make_the_step_of_one_on_the_joined_batch(script: Path, tmp_path: Path, port: int) -> None:
    """Each epoch is one step on all the data: a batch of one worker, two halves of two."""
    one, two, rows = tmp_path / "one", tmp_path / "two", BATCH * BATCHES
    wait(start([sys.executable, *arguments(script, one, epochs=3, batch=rows)], tmp_path))
    msrun = ["msrun", "--worker_num=2", "--local_worker_num=2"]
    msrun += ["--master_addr=127.0.0.1", f"--master_port={port}", "--join=True"]
    wait(start([*msrun, *arguments(script, two, epochs=3, batch=rows // 2), "--distributed"], tmp_path))
    expected, got = values(last(one)), values(last(two))
    assert len(list(two.glob("*.ckpt"))) == 3  # one worker writes
    for name in expected.keys() - {"epoch_num"}:
        bar = 1e-5 * np.abs(expected[name]).max()
        np.testing.assert_allclose(got[name], expected[name], rtol=0, atol=bar, err_msg=name)
