"""Rules of a user's own: from a file, and from an installed package."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tensorboard.compat.proto.graph_pb2 import GraphDef

import tf2ms
from tf2ms.cli import main
from tf2ms.errors import SourceError, UnsupportedOpError
from tf2ms.rules.registry import find_rule

DOCUMENTED = re.search(
    r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/rules.md").read_text("utf-8"), re.DOTALL
)[1]  # type: ignore[index]


def graph(op: str, **attrs: float) -> GraphDef:
    """x [2, 3] -> y by one op of the name."""
    made = GraphDef()
    x = made.node.add(name="x", op="Placeholder")
    y = made.node.add(name="y", op=op, input=["x"])
    x.attr["dtype"].type = 1
    y.attr["T"].type = 1
    for node in (x, y):
        shape = node.attr["_output_shapes"].list.shape.add()
        for size in (2, 3):
            shape.dim.add(size=size)
    for name, value in attrs.items():
        y.attr[name].f = value
    return made


@pytest.fixture()
def rules(tmp_path: Path) -> Path:
    """The file that docs/rules.md shows."""
    path = tmp_path / "my_rules.py"
    path.write_text(DOCUMENTED)
    return path


X = np.array([[-2, -1, 0], [0.5, 1, 3]], np.float32)


def test_a_file_adds_an_op(rules):
    with pytest.raises(UnsupportedOpError, match="ScaledTanh"):
        tf2ms.convert(graph("ScaledTanh", scale=2.5))
    (y,) = tf2ms.convert(graph("ScaledTanh", scale=2.5), rules=rules).run({"x": X})
    np.testing.assert_allclose(y, 2.5 * np.tanh(X), rtol=1e-5)
    assert find_rule("ScaledTanh") is None  # for that conversion only


def test_a_file_goes_before_the_table(tmp_path):
    path = tmp_path / "my_rules.py"
    path.write_text("from tf2ms.rules import elementwise\nelementwise('Tanh', form='2 * {0}')\n")
    (y,) = tf2ms.convert(graph("Tanh"), rules=path).run({"x": X})
    np.testing.assert_array_equal(y, 2 * X)
    (y,) = tf2ms.convert(graph("Tanh")).run({"x": X})
    np.testing.assert_allclose(y, np.tanh(X), rtol=1e-5)


def test_what_is_wrong_with_a_file_is_said(tmp_path):
    path = tmp_path / "my_rules.py"
    with pytest.raises(SourceError, match="no such file"):
        tf2ms.convert(graph("Tanh"), rules=path)
    path.write_text("x = 1\n")
    with pytest.raises(SourceError, match="registers no rule"):
        tf2ms.convert(graph("Tanh"), rules=path)
    path.write_text("from tf2ms.rules import elementwise\n" + "elementwise('Tanh', form='{0}')\n" * 2)
    with pytest.raises(ValueError, match="two rules"):
        tf2ms.convert(graph("Tanh"), rules=path)


def test_commands_take_it(rules, tmp_path):
    source = tmp_path / "custom.pb"
    source.write_bytes(graph("ScaledTanh", scale=2.5).SerializeToString())
    run = CliRunner().invoke
    result = run(main, ["convert", str(source), "-o", str(tmp_path / "out"), "--rules", str(rules)])
    assert result.exit_code == 0, result.output
    assert "2.5 * ops.tanh(x)" in (tmp_path / "out" / "custom_ms.py").read_text()
    result = run(main, ["ops", "ScaledTanh", "--rules", str(rules), "--json"])
    assert json.loads(result.output)[0]["form"] == "scale * ops.tanh({0})"


def test_an_installed_package_brings_rules(rules, tmp_path):
    folder = tmp_path / "mine-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[tf2ms.rules]\nmine = my_rules\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-m", "tf2ms", "ops", "ScaledTanh", "--json"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert json.loads(answer)[0]["form"] == "scale * ops.tanh({0})"
