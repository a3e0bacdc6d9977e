"""What users, tests and later work lean on: the same file from every source, its functions, its map, its looks."""

from __future__ import annotations

import ast
import json
import random
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import ms_network, transposes
from ruff.__main__ import find_ruff_bin
from tensorboard.compat.proto.graph_pb2 import GraphDef

import tf2ms

SOURCES = ["graph.pb", "graph.pbtxt", "graph_shapes.pb", "posenet.meta", "logs"]
OUTPUTS = [f"cls{head}_{kind}" for head in (1, 2, 3) for kind in ("xyz", "wpqr")]


@pytest.fixture(scope="module", params=[75, None], ids=["75", "none"])
def folder(request) -> Path:
    return request.getfixturevalue("posenet_75" if request.param else "posenet_none")


@pytest.fixture(scope="module")
def plain(folder):
    return tf2ms.convert(folder / "graph_shapes.pb", name="PoseNet")


@pytest.mark.parametrize("style", ["blocks", "flat"])
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same(source, style, folder, plain):
    wanted = plain if style == "blocks" else tf2ms.convert(folder / "graph_shapes.pb", name="PoseNet", style=style)
    conversion = tf2ms.convert(folder / source, name="PoseNet", style=style)
    assert conversion.code == wanted.code
    assert conversion.map == wanted.map


def test_an_event_file_gives_the_same(folder, plain):
    (events,) = (folder / "logs").glob("events.out.tfevents.*")
    assert tf2ms.convert(events, name="PoseNet").code == plain.code


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("style", ["blocks", "flat"])
def test_the_order_of_nodes_does_not_matter(seed, style, folder, plain):
    graph = GraphDef.FromString((folder / "graph_shapes.pb").read_bytes())
    nodes = list(graph.node)
    random.Random(seed).shuffle(nodes)
    shuffled = GraphDef(node=nodes, versions=graph.versions, library=graph.library)
    conversion = tf2ms.convert(shuffled, name="PoseNet", style=style)
    assert conversion.code == tf2ms.convert(graph, name="PoseNet", style=style).code
    if style == "blocks":
        assert conversion.map == plain.map


def test_names_come_from_the_path(folder, tmp_path):
    for file, name in (("robo-net.pb", "RoboNet"), ("my_model.pbtxt", "MyModel")):
        source = "graph_shapes.pb" if file.endswith(".pb") else "graph.pbtxt"
        (tmp_path / file).write_bytes((folder / source).read_bytes())
        assert tf2ms.convert(tmp_path / file).name == name


# -- looks -------------------------------------------------------------------------------------------------------------


def model_part(code: str) -> list[str]:
    """From the first function or class to the end of the loss class, without blank lines."""
    tree = ast.parse(code)
    parts = [item for item in tree.body if isinstance(item, ast.FunctionDef | ast.ClassDef)]
    end = next(item.end_lineno for item in parts if item.name.endswith("Loss") and not item.name.endswith("WithLoss"))
    return [line for line in code.splitlines()[parts[0].lineno - 1 : end] if line.strip()]


def test_it_is_short(plain):
    assert len(plain.code.splitlines()) <= 260
    assert len(model_part(plain.code)) <= 120
    assert max(map(len, plain.code.splitlines())) <= 120


@pytest.mark.parametrize("style", ["blocks", "flat"])
def test_no_transpose_and_no_tf2ms(style, folder):
    code = tf2ms.convert(folder / "graph_shapes.pb", name="PoseNet", style=style).code
    assert "transpose" not in code
    assert transposes(code) == 0
    imported = set()
    for item in ast.walk(ast.parse(code)):
        if isinstance(item, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in item.names}
        if isinstance(item, ast.ImportFrom):
            imported.add(item.module.partition(".")[0])
    assert imported <= {"argparse", "os", "mindspore", "numpy"}


@pytest.mark.parametrize("what", ["blocks", "flat", "frozen", "keep_nhwc"])
def test_ruff_has_nothing_to_say(what, folder, tmp_path):
    style = "flat" if what == "flat" else "blocks"
    source = folder / ("frozen.pb" if what == "frozen" else "graph_shapes.pb")
    conversion = tf2ms.convert(source, name="PoseNet", style=style, keep_nhwc=what == "keep_nhwc")
    module = tmp_path / "posenet_ms.py"
    module.write_text(conversion.code)
    select = ["--select", "E,F,W,I,UP,B,C4,SIM", "--ignore", "B905"]
    for arguments in (["check", *select], ["format", "--check"]):
        command = [find_ruff_bin(), *arguments, "--isolated", "--line-length=120", str(module)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_imported_or_assigned_in_vain(plain):
    command = [find_ruff_bin(), "check", "--isolated", "--select=F", "--stdin-filename=a.py", "-"]
    assert subprocess.run(command, input=plain.code, text=True, capture_output=True, check=False).returncode == 0


def test_blocks_are_classes_with_arguments(plain):
    code = plain.code
    assert code.count("nn.Conv2d(") == 1
    assert "class ConvReLU(nn.Cell):" in code
    assert code.count("class Icp(nn.Cell):") == 1
    assert "self.icp1 = Icp(192, 64, 96, 128, 16, 32, 32)" in code
    assert "self.icp9 = Icp(832, 384, 192, 384, 48, 128, 128)" in code
    assert len(re.findall(r"self\.icp\d = Icp\(", code)) == 9
    assert "self.out3 = ConvReLU(in_channels, out3, 1)" in code


def test_the_loss_reads_like_the_formula(plain):
    text = next(
        ast.unparse(item)
        for item in ast.parse(plain.code).body
        if isinstance(item, ast.ClassDef) and item.name == "PoseNetLoss"
    )
    assert text.count("* 0.3") == 2
    assert text.count("* 150") == 2
    assert text.count("* 500") == 1
    assert text.count("distance(") == 6
    assert "def distance(" in plain.code


def test_the_optimizer_has_the_graphs_values(plain):
    assert "nn.Adam(parameters, learning_rate, beta1=0.9, beta2=0.999, eps=1e-08)" in plain.code
    assert "learning_rate=0.0001" in plain.code


def test_flat_style_names_each_layer_as_tensorflow(folder):
    code = tf2ms.convert(folder / "graph_shapes.pb", name="PoseNet", style="flat").code
    assert "self.icp1_reduction1 = ConvReLU(192, 96, 1)" in code
    assert "self.icp1_out3 = ConvReLU(192, 32, 1)" in code
    assert "self.cls2_reduction_pose = ConvReLU(528, 128, 1)" in code
    assert "class Icp" not in code
    assert len(re.findall(r"self\.\w+ = ConvReLU\(", code)) == 59


def test_fixed_and_free_batch(plain, posenet_75, posenet_none):
    fixed, free = (tf2ms.convert(f / "graph_shapes.pb", name="PoseNet").code for f in (posenet_75, posenet_none))
    assert "batch_size=75" in fixed
    assert "batch_size=75" not in free
    assert "75" not in re.sub(r"0\.75|batch_size=75|default=75", "", fixed)  # the batch is free in the network


# -- the map -----------------------------------------------------------------------------------------------------------


def test_inputs_and_outputs(plain, folder):
    batch = 75 if folder.name.endswith("75") else None
    inputs = plain.map["inputs"]
    assert [item["tensor"] for item in inputs] == ["Placeholder:0", "Placeholder_1:0", "Placeholder_2:0"]
    assert [item["perm"] for item in inputs] == [[0, 3, 1, 2], None, None]
    assert [item["shape"] for item in inputs] == [[batch, 224, 224, 3], [batch, 3], [batch, 4]]
    assert [item["feeds"] for item in inputs] == ["backbone", "loss", "loss"]
    assert {item["dtype"] for item in inputs} == {"float32"}
    outputs = plain.map["outputs"]
    assert [item["name"] for item in outputs] == OUTPUTS
    wanted = [f"{layer}/{layer}:0" for layer in (name.replace("_", "_fc_pose_", 1) for name in OUTPUTS)]
    assert [item["tensor"] for item in outputs] == wanted
    assert [item["perm"] for item in outputs] == [None] * 6
    assert plain.map["loss"] == "add_4:0"
    assert plain.map["network"] == "PoseNet"
    assert plain.map["file"] == "posenet_ms.py"


def test_parameters(plain):
    entries = plain.map["parameters"]
    assert len(entries) == 136
    assert len({entry["name"] for entry in entries}) == 136
    assert len({entry["variable"] for entry in entries}) == 136
    assert sum(int(np.prod(entry["shape"])) for entry in entries) == 12_431_173
    assert all(entry["trainable"] for entry in entries)
    by_variable = {entry["variable"]: entry for entry in entries}
    assert by_variable["conv1/weights"]["perm"] == [3, 2, 0, 1]
    assert by_variable["conv1/weights"]["shape"] == [64, 3, 7, 7]
    assert by_variable["conv1/biases"]["perm"] is None
    assert by_variable["cls3_fc_pose_xyz/weights"]["perm"] == [1, 0]
    dense = by_variable["cls1_fc1_pose/weights"]
    assert (dense["reshape"], dense["perm"], dense["shape"]) == ([4, 4, 128, 1024], [3, 2, 0, 1], [1024, 2048])


@pytest.mark.parametrize("style", ["blocks", "flat"])
def test_parameters_are_the_networks_own(style, folder):
    conversion = tf2ms.convert(folder / "graph_shapes.pb", name="PoseNet", style=style)
    _, network = ms_network(conversion)
    own = {parameter.name: list(parameter.shape) for parameter in network.get_parameters()}
    assert own == {entry["name"]: entry["shape"] for entry in conversion.map["parameters"]}


@pytest.mark.parametrize("style", ["blocks", "flat"])
def test_each_layers_line_makes_its_attribute(style, folder):
    conversion = tf2ms.convert(folder / "graph_shapes.pb", name="PoseNet", style=style)
    lines = conversion.code.splitlines()
    layers = conversion.map["layers"]
    # 59 convolutions with their ReLU, 9 dense layers, 13 max-pools, 3 average pools, 2 LRN
    assert len(layers) == 59 * 2 + 9 + 13 + 3 + 2
    graph = conversion.roles.graph
    _, network = ms_network(conversion)
    cells = dict(network.cells_and_names())
    for layer in layers:
        attribute = layer["path"].rpartition(".")[2]
        assert lines[layer["line"] - 1].strip().startswith(f"self.{attribute} = "), layer
        assert layer["node"] in graph
        assert layer["node"] in layer["nodes"]
        assert layer["path"] in {name for name, _ in network.cells_and_names()}
        wanted = {"MaxPool": "MaxPool2d", "AvgPool": "AvgPool2d", "LRN": "LRN"}.get(graph[layer["node"]].op)
        assert wanted in (None, type(cells[layer["path"]]).__name__)
    covered = [name for layer in layers for name in layer["nodes"]]
    assert len(covered) == len(set(covered))


def test_the_map_is_json(plain):
    assert json.loads(json.dumps(plain.map)) == plain.map


# -- the functions -----------------------------------------------------------------------------------------------------


def test_the_modules_functions(plain):
    import mindspore as ms
    from mindspore import nn

    module, network = ms_network(plain)
    assert isinstance(network, nn.Cell)
    assert isinstance(module.create_loss(), nn.Cell)
    optimizer = module.create_optimizer(network.trainable_params())
    assert isinstance(optimizer, nn.Adam)
    assert float(optimizer.learning_rate.asnumpy()) == pytest.approx(1e-4)
    dataset = module.create_dataset(batch_size=2)
    assert list(dataset.get_col_names()) == [item["name"] for item in plain.map["inputs"]]
    batch = next(dataset.create_tuple_iterator())
    assert [tuple(column.shape) for column in batch] == [(2, 3, 224, 224), (2, 3), (2, 4)]
    assert all(column.dtype == ms.float32 for column in batch)
    step = module.create_train_step()
    before = {p.name: p.asnumpy().copy() for p in step.trainable_params()}
    loss = step(*batch)
    assert np.isfinite(float(loss))
    changed = [p.name for p in step.trainable_params() if not np.array_equal(before[p.name], p.asnumpy())]
    assert any("cls3" in name for name in changed)


def test_initial_weights_are_as_the_graph_says(plain):
    _, network = ms_network(plain)
    values = {p.name: p.asnumpy() for p in network.get_parameters()}
    for entry in plain.map["parameters"]:
        shape, value = entry["shape"], values[entry["name"]]
        receptive = int(np.prod(shape[2:]))
        fans = 2 * shape[0] if len(shape) == 1 else (shape[0] + shape[1]) * receptive
        if len(shape) == 2 and "reshape" in entry:
            fans = shape[0] + shape[1]
        limit = np.sqrt(6 / fans)
        assert np.abs(value).max() <= limit * 1.0001
        if value.size > 100:
            assert np.abs(value).max() > 0.8 * limit
            assert np.std(value) == pytest.approx(limit / np.sqrt(3), rel=0.25)


# -- weights -----------------------------------------------------------------------------------------------------------


def test_checkpoint_loads_strictly(folder, tmp_path):
    import mindspore as ms

    conversion = tf2ms.convert(folder / "posenet.meta", name="PoseNet", checkpoint=folder / "posenet.ckpt")
    module, map_file, checkpoint = conversion.write(tmp_path / "out")
    assert [path.name for path in (module, map_file, checkpoint)] == [
        "posenet_ms.py",
        "posenet.map.json",
        "posenet.ckpt",
    ]
    stored = ms.load_checkpoint(str(checkpoint))
    _, network = ms_network(tf2ms.convert(folder / "posenet.meta", name="PoseNet"))
    missing, unused = ms.load_param_into_net(network, stored, strict_load=True)
    assert (missing, unused) == ([], [])
    for parameter in network.get_parameters():
        assert np.array_equal(parameter.asnumpy(), conversion.weights[parameter.name])


def test_npy_weights_are_the_checkpoints(folder):
    first = tf2ms.convert(folder / "graph.pb", name="PoseNet", checkpoint=folder / "posenet.ckpt")
    second = tf2ms.convert(folder / "graph.pb", name="PoseNet", checkpoint=folder / "posenet.npy")
    assert list(first.weights) == list(second.weights)
    for name, value in first.weights.items():
        assert np.array_equal(value, second.weights[name])


def test_a_frozen_graph_carries_its_weights(folder):
    conversion = tf2ms.convert(folder / "frozen.pb", name="PoseNet")
    wanted = tf2ms.convert(folder / "graph.pb", name="PoseNet", checkpoint=folder / "posenet.ckpt")
    assert conversion.weights is not None
    assert sum(value.size for value in conversion.weights.values()) == 12_431_173
    variables = {entry["variable"]: entry["name"] for entry in wanted.map["parameters"]}
    for entry in conversion.map["parameters"]:
        assert np.array_equal(conversion.weights[entry["name"]], wanted.weights[variables[entry["variable"]]])
    assert any("inference" in note for note in conversion.notes)


def test_without_a_checkpoint_there_are_no_weights(plain, tmp_path):
    assert plain.weights is None
    assert [path.name for path in plain.write(tmp_path)] == ["posenet_ms.py", "posenet.map.json"]


def test_a_checkpoint_that_does_not_fit_names_every_variable(folder, tmp_path):
    np.savez(tmp_path / "some.npz", **{"conv1/weights": np.zeros((3, 3, 3, 64), np.float32)})
    with pytest.raises(tf2ms.SourceError) as error:
        tf2ms.convert(folder / "graph.pb", checkpoint=tmp_path / "some.npz")
    message = str(error.value)
    assert "conv1/weights has shape (3, 3, 3, 64), the graph says (7, 7, 3, 64)" in message
    assert "conv1/biases is missing" in message
    assert "125 more" in message or "126 more" in message
