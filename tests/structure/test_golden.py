"""The generated files of a few networks, as they are: a change of style shows in review.

After a change that is meant, `TF2MS_RENEW_GOLDEN=1 python -m pytest tests/structure/test_golden.py` renews them; then
read the diff.
"""

from __future__ import annotations

import ast
import os
import random
import sys
from pathlib import Path

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

import tf2ms

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
NETWORKS = ["ResNet50", "MobileNetV2", "Transformer"]


def _zoo():
    sys.path.insert(0, str(ROOT / "tests" / "networks"))
    import zoo

    return zoo


@pytest.fixture(scope="module")
def graphs(posenet_75):
    zoo = _zoo()
    found = {name: zoo.frozen(zoo.build(name)) for name in NETWORKS}
    found["PoseNet"] = GraphDef.FromString((posenet_75 / "graph_shapes.pb").read_bytes())
    return found


@pytest.mark.parametrize("name", ["PoseNet", *NETWORKS])
def test_the_file_is_as_reviewed(name, graphs):
    code = tf2ms.convert(graphs[name], name=name).code
    path = GOLDEN / f"{name.lower()}_ms.txt"
    if os.environ.get("TF2MS_RENEW_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
    assert code == path.read_text(encoding="utf-8"), "TF2MS_RENEW_GOLDEN=1 renews it; read the diff"


@pytest.mark.parametrize("style", ["blocks", "flat"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_order_of_nodes_does_not_matter(name, style, graphs):
    graph = graphs[name]
    nodes = list(graph.node)
    random.Random(3).shuffle(nodes)
    shuffled = GraphDef(node=nodes, versions=graph.versions, library=graph.library)
    wanted = tf2ms.convert(graph, name=name, style=style).code
    assert tf2ms.convert(shuffled, name=name, style=style).code == wanted


def model_lines(code: str) -> int:
    """Lines of the model part: from the first function or class up to `create_network`, without blank ones."""
    parts = [item for item in ast.parse(code).body if isinstance(item, ast.FunctionDef | ast.ClassDef)]
    end = next(item.lineno for item in parts if item.name == "create_network")
    return sum(bool(line.strip()) for line in code.splitlines()[parts[0].lineno - 1 : end - 1])


def test_a_deeper_network_is_no_longer():
    zoo = _zoo()
    counts = [model_lines(tf2ms.convert(zoo.frozen(zoo.transformer(depth))).code) for depth in (6, 12)]
    assert counts[0] == counts[1] <= 90


@pytest.mark.parametrize(("name", "bar"), [("ResNet50", 90), ("MobileNetV2", 90)])
def test_it_is_short(name, bar, graphs):
    code = tf2ms.convert(graphs[name], name=name).code
    assert model_lines(code) <= bar
    assert max(map(len, code.splitlines())) <= 120
