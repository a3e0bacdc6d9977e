"""An error of each kind planted in the generated file is found, and its place is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import graphs
import pytest
from click.testing import CliRunner

import tf2ms
from tf2ms.cli import main
from tf2ms.verify import verify


@dataclass(frozen=True)
class Planted:
    """What to replace in the generated file, at which level it shows, and what is named."""

    kind: str
    old: str
    new: str
    level: str
    named: str
    graph: str = "adam"

    def __str__(self) -> str:
        return self.kind.replace(" ", "_")


PLANTED = [
    Planted("kernel size", "ConvReLU(8, 4, 3)", "ConvReLU(8, 4, 1)", "forward", "right/BiasAdd"),
    Planted("stride", "ConvReLU(3, 8, 5, 2)", "ConvReLU(3, 8, 5)", "forward", "first/BiasAdd"),
    Planted("padding side", 'stride=2, pad_mode="same"', 'stride=2, pad_mode="pad", padding=1', "forward", "pool"),
    Planted("bias dropped", "has_bias=True,", "", "forward", "first/BiasAdd"),
    Planted("flatten order", "ops.flatten(ops.concat((left, right), axis=1))",
            "ops.flatten(ops.transpose(ops.concat((left, right), axis=1), (0, 2, 3, 1)))", "forward", "Reshape"),
    Planted("concat order", "ops.concat((left, right)", "ops.concat((right, left)", "forward", "join"),
    Planted("LRN alpha", "alpha=0.02", "alpha=0.2", "forward", "norm"),
    Planted("epsilon", "eps=1e-05", "eps=1e-08", "update", "eps"),
    Planted("learning rate", "learning_rate=0.001", "learning_rate=0.01", "update", "learning_rate"),
    Planted("loss weight", "* 20", "* 2", "loss", "mul_1"),
    Planted("activation dropped", "self.relu(self.conv(x))", "self.conv(x)", "forward", "first/first"),
    Planted("momentum", "momentum=0.9", "momentum=0.5", "update", "momentum", "momentum"),
]  # fmt: skip


@pytest.fixture(scope="module")
def projects(tmp_path_factory) -> dict[str, tuple[str, Path]]:
    """graph and generated folder, by optimizer."""
    made = {}
    for name, train in (("adam", graphs.adam), ("momentum", graphs.momentum)):
        folder = tmp_path_factory.mktemp(name)
        graph = graphs.write(folder, graphs.two_heads, train)
        tf2ms.convert(graph, name="Small").write(folder / "out")
        made[name] = graph, folder / "out"
    return made


@pytest.mark.parametrize("case", PLANTED, ids=str)
def test_planted_error_is_found_and_named(case, projects, tmp_path):
    graph, folder = projects[case.graph]
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    module = out / "small_ms.py"
    code = module.read_text()
    assert case.old in code
    module.write_text(code.replace(case.old, case.new))
    evidence = verify(graph, out, levels=["loss" if case.level == "loss" else case.level], steps=2)
    assert not evidence.passed
    assert {check.level for check in evidence.failures()} <= {case.level, "weights"}
    first = evidence.failures(case.level)[0]
    assert case.named in (first.place.node, first.what), first
    assert first.place.line is not None


def test_what_was_generated_passes(projects, tmp_path):
    graph, folder = projects["adam"]
    evidence = verify(graph, folder, steps=3, plot=tmp_path / "run.svg")
    assert evidence.passed, [*evidence.failures(), *evidence.crashes]
    assert evidence.levels == ("forward", "loss", "gradients", "update", "free")
    assert sum(check.what.startswith("term ") for check in evidence.checks) == 2
    assert {"xyz/weights", "xyz/weights/Adam", "beta2_power"} <= {check.what for check in evidence.checks}
    assert len(evidence.curves.tensorflow) >= 3
    assert evidence.plot == str(tmp_path / "run.svg")
    assert (tmp_path / "run.svg").read_text().startswith("<svg")


def test_convert_verifies(projects, tmp_path):
    graph, _ = projects["momentum"]
    result = CliRunner().invoke(main, ["convert", graph, "-o", str(tmp_path), "--name", "Small", "--verify"])
    assert result.exit_code == 0, result.output
    assert "forward" in result.output and "missed" not in result.output
    assert (tmp_path / "small.verify.svg").is_file()


def test_a_missed_bar_exits_with_3(projects, tmp_path):
    graph, folder = projects["adam"]
    command = ["verify", graph, str(folder), "--levels", "forward", "--forward-bar", "1e-12", "--json"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 3
    answer = json.loads(result.stdout)
    assert not answer["passed"]
    assert answer["bars"]["forward"] == 1e-12
    assert answer["first_departure"]["place"]["node"]
    assert set(answer["first_departure"]["values"]) and "differs by" in result.stderr
