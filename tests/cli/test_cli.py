"""The command line: what it prints, its JSON, and its exit codes."""

from __future__ import annotations

import json
import re

import pytest
import tensorflow as tf
from click.testing import CliRunner
from helpers import build, conv, dense, placeholder, save_values, v1

from tf2ms import __version__
from tf2ms.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments, **environment):
        result = CliRunner().invoke(main, [str(item) for item in arguments], env=environment or None)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


def two_heads():
    x, y, z = placeholder([4, 8, 8, 3], "x"), placeholder([4, 3], "y"), placeholder([4, 2], "z")
    h = tf.nn.relu(conv(x, (3, 3), 4, 2, name="conv1"))
    h = tf.reshape(h, [-1, 64])
    a, b = dense(h, 3, "xyz"), dense(h, 2, "wp")
    loss = tf.sqrt(tf.reduce_sum(tf.square(a - y))) * 0.3 + tf.sqrt(tf.reduce_sum(tf.square(b - z))) * 150
    return [a, b], loss


@pytest.fixture(scope="module")
def built():
    return build(two_heads, 4, lambda loss: v1.train.AdamOptimizer(1e-4, epsilon=1e-6).minimize(loss))


@pytest.fixture
def graph(built, tmp_path):
    path = tmp_path / "twohead-net.pb"
    path.write_bytes(built.graph_def.SerializeToString())
    return path


@pytest.fixture
def unknown(tmp_path):
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    source = GraphDef()
    x = source.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = 1
    for size in (2, 3):
        x.attr["shape"].shape.dim.add(size=size)
    for name, op, source_name in (
        ("a", "Mystery", "x"),
        ("b", "Mystery", "a"),
        ("c[bold]", "Other[red]", "b"),
        ("d", "Relu", "c[bold]"),
    ):
        node = source.node.add(name=name, op=op, input=[source_name])
        node.attr["T"].type = 1
    path = tmp_path / "unknown.pb"
    path.write_bytes(source.SerializeToString())
    return path


# -- help --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [[], ["inspect"], ["convert"], ["ops"]], ids=str)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_has_examples(run, command, flag):
    result = run(*command, flag)
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"tf2ms {' '.join(command)}".strip() in result.output


def test_every_option_has_help(run):
    for command in main.commands.values():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{command.name} {parameter.name}"


def test_version(run):
    result = run("--version")
    assert (result.exit_code, result.output.strip()) == (0, f"tf2ms, version {__version__}")


# -- inspect -----------------------------------------------------------------------------------------------------------


def test_inspect(run, graph):
    result = run("inspect", graph)
    assert result.exit_code == 0
    text = result.output
    assert re.search(r"training graph, \d+ nodes, 6 trainable variables, 437 parameters", text)
    for part in ("Inputs", "Backbone", "Loss", "Optimizer", "Ops", "Left out"):
        assert re.search(rf"^{part}\b", text, re.M), part
    assert re.search(r"x +float32 \[4, 8, 8, 3\] +backbone", text)
    assert re.search(r"y +float32 \[4, 3\] +loss only", text)
    assert "Adam(learning_rate=0.0001, beta1=0.9, beta2=0.999, epsilon=1e-06)" in text
    assert "* 0.3" in text and "* 150" in text and "(2 terms)" in text
    assert "every one has a rule" in text
    assert "\x1b[" not in text


def test_inspect_json(run, graph):
    result = run("inspect", graph, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["training"] is True
    assert (found["variables"], found["parameters"]) == (6, 437)
    assert [item["feeds"] for item in found["inputs"]] == ["backbone", "loss", "loss"]
    assert [item["tensor"] for item in found["outputs"]] == ["xyz/BiasAdd:0", "wp/BiasAdd:0"]
    assert found["optimizer"]["name"] == "Adam"
    assert found["optimizer"]["hyperparameters"]["epsilon"] == 1e-6
    assert len(found["loss"]["terms"]) == 2
    assert found["no_rule"] == []
    assert found["ops"]["Conv2D"] == 1
    assert sum(group["nodes"] for group in found["left_out"]) < found["nodes"]


def test_inspect_an_inference_graph(run, graph):
    result = run("inspect", graph, "--outputs", "xyz/BiasAdd")
    assert result.exit_code == 0
    assert "Outputs" in result.output and "Optimizer" not in result.output


def test_inspect_lists_what_has_no_rule(run, unknown):
    result = run("inspect", unknown)
    assert result.exit_code == 0
    assert "No rule" in result.output
    assert "Mystery: 2 nodes (a, b)" in result.output
    assert "Other[red]" in result.output and "c[bold]" in result.output
    found = json.loads(run("inspect", unknown, "--json").stdout)
    assert {item["op"]: item["nodes"] for item in found["no_rule"]} == {
        "Mystery": ["a", "b"],
        "Other[red]": ["c[bold]"],
    }


# -- convert -----------------------------------------------------------------------------------------------------------


def test_convert(run, graph, built, tmp_path):
    values = save_values(tmp_path / "values.npz", built.values)
    result = run("convert", graph, "-o", "out", "--checkpoint", values)
    assert result.exit_code == 0
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(files) == 3
    for name in files:
        assert f"wrote out/{name}" in result.output
    assert "loss and Adam" in result.output


def test_convert_json(run, graph, tmp_path):
    result = run("convert", graph, "-o", "out", "--name", "TwoHead", "--json", "--style", "flat")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["files"] == ["out/twohead_ms.py", "out/twohead.map.json"]
    assert found["network"] == "TwoHead"
    assert found["parameters"] == 6
    assert found["training"] is True
    assert found["weights"] is False
    assert found["verified"] is False
    assert found["unsupported"] == []
    assert found["lines"] == len((tmp_path / "out" / "twohead_ms.py").read_text().splitlines())


def test_shape_option(run, tmp_path):
    with tf.Graph().as_default() as made:
        x = v1.placeholder(tf.float32, None, "x")
        tf.nn.conv2d(x, tf.zeros([3, 3, 3, 4]), 1, "SAME")
    (tmp_path / "open.pb").write_bytes(made.as_graph_def().SerializeToString())
    result = run("convert", "open.pb", "-o", "out", "--shape", "x=?,8,8,3")
    assert result.exit_code == 0, result.output
    (module,) = (tmp_path / "out").glob("*_ms.py")
    assert "(3, 8, 8)" in module.read_text()


def test_keep_nhwc(run, graph, tmp_path):
    assert run("convert", graph, "-o", "out", "--name", "N", "--keep-nhwc").exit_code == 0
    assert '"x": (8, 8, 3)' in next((tmp_path / "out").glob("*_ms.py")).read_text()


# -- errors ------------------------------------------------------------------------------------------------------------


def test_unknown_ops_are_listed_and_nothing_is_written(run, unknown, tmp_path):
    result = run("convert", unknown, "-o", "out")
    assert result.exit_code == 1
    assert "error: 2 op types have no MindSpore form; nothing was written" in result.stderr
    assert "Mystery" in result.stderr and "2 nodes" in result.stderr
    assert "Other[red]" in result.stderr and "c[bold]" in result.stderr
    assert "--allow-unsupported" in result.stderr
    assert not (tmp_path / "out").exists()


def test_allow_unsupported(run, unknown, tmp_path):
    result = run("convert", unknown, "-o", "out", "--allow-unsupported")
    assert result.exit_code == 0
    assert "raises NotImplementedError at:" in result.output
    assert "Other[red]" in result.output
    assert len(list((tmp_path / "out").iterdir())) == 2
    again = json.loads(run("convert", unknown, "-o", "out", "--allow-unsupported", "--json").stdout)
    assert len(again["unsupported"]) == 2


def test_a_graph_that_is_none(run, tmp_path):
    (tmp_path / "text.pb").write_text("hello")
    for arguments in (["inspect", "text.pb"], ["convert", "text.pb", "-o", "out"], ["inspect", "missing.pb"]):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert arguments[1] in result.stderr
        assert result.stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["convert"],
        ["convert", "g.pb"],
        ["inspect"],
        ["nonsense"],
        ["convert", "g.pb", "-o", "out", "--style", "cubist"],
        ["convert", "g.pb", "-o", "out", "--shape", "x"],
        ["convert", "g.pb", "-o", "out", "--shape", "x=a,b"],
        ["inspect", "g.pb", "--nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_usage(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_an_edited_file(run, graph, tmp_path):
    assert run("convert", graph, "-o", "out", "--name", "N").exit_code == 0
    module = next((tmp_path / "out").glob("*_ms.py"))
    module.write_text("mine")
    result = run("convert", graph, "-o", "out", "--name", "N")
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert module.read_text() == "mine"
    assert run("convert", graph, "-o", "out", "--name", "N", "--force").exit_code == 0
    assert module.read_text() != "mine"


def test_an_output_folder_that_is_a_file(run, graph, tmp_path):
    (tmp_path / "out").write_text("mine")
    result = run("convert", graph, "-o", "out")
    assert result.exit_code == 1
    assert "-o" in result.stderr


def test_unknown_tensors(run, graph):
    for option in ("--loss", "--outputs", "--inputs"):
        result = run("convert", graph, "-o", "out", option, "no_such_node")
        assert result.exit_code == 1
        assert "no_such_node" in result.stderr


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_ops(run):
    text = run("ops").output
    assert "Conv2D" in text and "nn.Conv2d" in text
    found = json.loads(run("ops", "lrn", "--json").stdout)
    assert [item["op"] for item in found] == ["LRN"]
    assert found[0]["note"]
    assert run("ops", "nonsense").exit_code == 1


def test_colours_only_where_wanted(run, graph):
    assert "\x1b[" in run("inspect", graph, FORCE_COLOR="1", TERM="xterm-256color").output
    plain = run("inspect", graph, FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color").output
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", plain)
    assert "\x1b[" not in run("inspect", graph, NO_COLOR="1").output


def test_evil_names_do_not_reach_the_terminal_unescaped(run, tmp_path):
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    source = GraphDef()
    x = source.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = 1
    evil = source.node.add(name="a\x1b]0;owned\x07\x1b[2J", op="Bad\x1b[31mOp", input=["x"])
    evil.attr["T"].type = 1
    (tmp_path / "evil.pb").write_bytes(source.SerializeToString())
    for arguments in (["inspect", "evil.pb"], ["convert", "evil.pb", "-o", "out"]):
        assert "\x1b" not in run(*arguments).output
