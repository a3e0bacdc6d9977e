"""The generated PoseNet against TensorFlow: outputs, loss, gradients and the optimizer's update."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ms_loss_and_gradients, ms_network, relative

import tf2ms

TRAINABLE = 12_431_173


@pytest.fixture(scope="module")
def tensorflow(posenet_none):
    """What TensorFlow computes, with oneDNN on and off: {"1": …, "0": …}, each in a process of its own."""
    found = {}
    with open(posenet_none / "steps.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for onednn in "10":
            out = posenet_none / f"steps_{onednn}.npz"
            if not out.exists():
                script = Path(__file__).with_name("tf_step.py")
                environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn, "TF_CPP_MIN_LOG_LEVEL": "3"}
                temporary = out.with_name(f"new_{out.name}")
                subprocess.run([sys.executable, script, posenet_none, temporary], env=environment, check=True)
                os.replace(temporary, out)
            found[onednn] = dict(np.load(out))
    return found


@pytest.fixture(scope="module")
def feeds(tensorflow):
    return {name.removeprefix("feed:"): value for name, value in tensorflow["1"].items() if name.startswith("feed:")}


@pytest.fixture(scope="module", params=["blocks", "flat"])
def conversion(request, posenet_none):
    checkpoint = posenet_none / "posenet.ckpt"
    return tf2ms.convert(posenet_none / "graph.pb", name="PoseNet", checkpoint=checkpoint, style=request.param)


def _gradients(found, step=0):
    prefix = f"gradient{step}:"
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_six_outputs(conversion, tensorflow, feeds, mode):
    outputs = conversion.run({"Placeholder": feeds["Placeholder"]}, mode=mode)
    assert len(outputs) == 6
    for index, actual in enumerate(outputs):
        assert relative(actual, tensorflow["1"][f"output:{index}"]) <= 1e-5


def test_parameter_count(conversion):
    _, network = ms_network(conversion)
    assert sum(parameter.size for parameter in network.trainable_params()) == TRAINABLE
    assert len(network.trainable_params()) == 136


def test_inspect_counts_the_same(posenet_none):
    found = tf2ms.inspect(posenet_none / "graph_shapes.pb")
    assert (found.trainable, found.parameters) == (136, TRAINABLE)


def test_loss_and_gradients(conversion, tensorflow):
    """Each variable's gradient within TensorFlow's own spread on one of two batches.

    Where two values are equal but for rounding, a pool or ReLU lets the gradient through another way, in TensorFlow
    with oneDNN as well as in MindSpore. Which variables that hits changes with the batch; a wrong gradient would not.
    """
    from tf_step import SEEDS, feeds

    nearest: dict[str, float] = {}
    for seed, label, step in zip(SEEDS, ("0", "other"), (0, "-other"), strict=True):
        loss, gradients = ms_loss_and_gradients(conversion, {f"{name}:0": v for name, v in feeds(seed).items()})
        expected = float(tensorflow["1"][f"loss:{label}"])
        assert abs(loss - expected) <= 1e-6 * abs(expected)
        on, off = _gradients(tensorflow["1"], step), _gradients(tensorflow["0"], step)
        assert set(gradients) == set(on)
        for name, wanted in on.items():
            difference, own = (np.linalg.norm(g.reshape(wanted.shape) - wanted) for g in (gradients[name], off[name]))
            scale = np.linalg.norm(wanted)
            assert difference <= 0.02 * scale, name
            share = difference / scale / max(1e-4, 3 * own / scale)
            nearest[name] = min(share, nearest.get(name, share))
    assert {name: share for name, share in nearest.items() if share > 1} == {}


def _to_mindspore(entry, array):
    moved = array.reshape(entry["reshape"]) if "reshape" in entry else array
    moved = moved.transpose(entry["perm"]) if entry["perm"] else moved
    return np.ascontiguousarray(moved.reshape(entry["shape"]))


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_the_optimizer_given_tensorflows_gradients(conversion, tensorflow, mode):
    import mindspore as ms

    module, network = ms_network(conversion)
    entries = {entry["name"]: entry for entry in conversion.map["parameters"]}
    parameters = network.trainable_params()
    before = {parameter.name: parameter.asnumpy().copy() for parameter in parameters}
    ms.set_context(mode=ms.GRAPH_MODE if mode == "graph" else ms.PYNATIVE_MODE)
    try:
        optimizer = module.create_optimizer(parameters)
        for step in range(2):
            made = _gradients(tensorflow["1"], step)
            optimizer(
                tuple(ms.Tensor(_to_mindspore(entries[p.name], made[entries[p.name]["variable"]])) for p in parameters)
            )
            for parameter in parameters:
                entry = entries[parameter.name]
                wanted = _to_mindspore(entry, tensorflow["1"][f"updated{step}:{entry['variable']}"])
                actual = parameter.asnumpy()
                largest = np.abs(wanted - before[parameter.name]).max()
                bar = np.maximum(1e-6 * largest, np.spacing(np.abs(wanted)) * (1 + step))
                assert largest > 0
                assert (np.abs(actual - wanted) <= bar).all(), parameter.name
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)


def test_every_parameter_of_the_map_leads_back_to_its_variable(conversion, tensorflow):
    """The flattened dense layers too: [1024, 4096] in [out, in] is [h, w, c, out] in TensorFlow."""
    _, network = ms_network(conversion)
    values = {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}
    assert list(values) == [entry["name"] for entry in conversion.map["parameters"]]
    checkpoint = _reader(conversion)
    for entry in conversion.map["parameters"]:
        assert list(values[entry["name"]].shape) == entry["shape"]
        assert np.array_equal(values[entry["name"]], _to_mindspore(entry, checkpoint[entry["variable"]]))


def _reader(conversion):
    """The variables in TensorFlow's layout, restored from the conversion's weights by `Weight.restore`."""
    found = {}
    for step in (*conversion.lowered.network.steps,):
        for _, weight in (*step.weights, *(step.layer.weights if step.layer else ())):
            name = next(e["name"] for e in conversion.map["parameters"] if e["variable"] == weight.variable)
            found[weight.variable] = weight.restore(conversion.weights[name])
    return found


def test_restored_variables_are_the_checkpoints(conversion, posenet_none):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(posenet_none / "posenet.ckpt"))
    for name, value in _reader(conversion).items():
        assert np.array_equal(value, reader.get_tensor(name)), name


def test_a_train_step_in_graph_mode_makes_tensorflows_losses(posenet_none, tensorflow, feeds):
    """Two steps of the generated train step: the second loss shows that the update was TensorFlow's."""
    import mindspore as ms

    conversion = tf2ms.convert(posenet_none / "graph.pb", name="PoseNet", checkpoint=posenet_none / "posenet.ckpt")
    module, network = ms_network(conversion)
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        step = module.create_train_step(network)
        batch = [feeds["Placeholder"].transpose(0, 3, 1, 2), feeds["Placeholder_1"], feeds["Placeholder_2"]]
        losses = [float(step(*(ms.Tensor(np.ascontiguousarray(value)) for value in batch))) for _ in range(2)]
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    expected = [float(tensorflow["1"][f"loss:{index}"]) for index in range(2)]
    assert losses[0] == pytest.approx(expected[0], rel=1e-6)
    spread = abs(expected[1] - float(tensorflow["0"]["loss:1"]))
    assert abs(losses[1] - expected[1]) <= max(1e-2 * expected[1], 3 * spread)


def test_the_frozen_graph_computes_the_same(posenet_none, tensorflow, feeds):
    conversion = tf2ms.convert(posenet_none / "frozen.pb", name="PoseNet")
    outputs = conversion.run({"Placeholder:0": feeds["Placeholder"]})
    names = [item["tensor"] for item in conversion.map["outputs"]]
    from tf_step import OUTPUTS

    assert sorted(names) == sorted(f"{name}:0" for name in OUTPUTS)
    for name, actual in zip(names, outputs, strict=True):
        expected = tensorflow["1"][f"output:{OUTPUTS.index(name.removesuffix(':0'))}"]
        assert relative(actual, expected) <= 1e-5


def test_keep_nhwc_computes_the_same(posenet_none, tensorflow, feeds):
    conversion = tf2ms.convert(
        posenet_none / "graph.pb", name="PoseNet", checkpoint=posenet_none / "posenet.ckpt", keep_nhwc=True
    )
    assert [item["perm"] for item in conversion.map["inputs"]] == [None, None, None]
    for index, actual in enumerate(conversion.run({"Placeholder": feeds["Placeholder"]})):
        assert relative(actual, tensorflow["1"][f"output:{index}"]) <= 1e-5


def test_a_renamed_graph_computes_the_same(posenet_none, tensorflow, feeds):
    """Every node called n0, n1, …, and shuffled: nothing but structure is left to read."""
    from helpers import renamed
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    plain = tf2ms.convert(posenet_none / "graph.pb")
    source = GraphDef.FromString((posenet_none / "graph_shapes.pb").read_bytes())
    graph, table = renamed(source)
    conversion = tf2ms.convert(graph)
    roles, wanted = conversion.roles, plain.roles
    assert roles.loss.node == table[wanted.loss.node]
    assert [t.node for t in roles.outputs] == [table[t.node] for t in wanted.outputs]
    assert dict(roles.optimizer.hyperparameters) == dict(wanted.optimizer.hyperparameters)
    assert {v.name for v in roles.variables} == {table[v.name] for v in wanted.variables}
    assert {i.tensor.node for i in roles.inputs if i.feeds != "nothing"} == {
        table[i.tensor.node] for i in wanted.inputs if i.feeds != "nothing"
    }
    assert [(d.reason, len(d.nodes)) for d in roles.dropped] == [(d.reason, len(d.nodes)) for d in wanted.dropped]
    assert len(roles.terms) == 6

    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(posenet_none / "posenet.ckpt"))
    values = {table[v.name]: reader.get_tensor(v.name) for v in wanted.variables}
    np.savez(posenet_none / f"renamed_{os.getpid()}.npz", **values)
    conversion = tf2ms.convert(graph, checkpoint=posenet_none / f"renamed_{os.getpid()}.npz")
    renamed_feeds = {table[name]: value for name, value in feeds.items()}
    for index, actual in enumerate(conversion.run(renamed_feeds)):
        assert relative(actual, tensorflow["1"][f"output:{index}"]) <= 1e-5
    fed = {f"{table[name]}:0": value for name, value in feeds.items()}
    loss, gradients = ms_loss_and_gradients(conversion, fed)
    assert loss == pytest.approx(float(tensorflow["1"]["loss:0"]), rel=1e-6)
    assert len(gradients) == 136
