"""Partitioned variables: TensorFlow 1 keeps `w` as `w/part_0`, `w/part_1` …, and joins them where they are read."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.util.tensor_util import make_ndarray

_PART = re.compile(r"(.+)/part_(\d+)")
_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp"})
_READS = frozenset({"Identity", "ReadVariableOp"})
_ASIDE = (
    frozenset("Assign AssignVariableOp SaveV2 VarIsInitializedOp IsVariableInitialized DisableCopyOnRead NoOp".split())
    | _READS
)
"""What reads a part besides its sum: initial values and the saver."""


def join_partitions(graph_def: GraphDef) -> GraphDef:
    """The graph with each variable that is only read as a whole as one variable, called as in the checkpoint.

    A graph that updates the parts one by one (a training graph) keeps them.
    """
    nodes = {node.name: node for node in graph_def.node}
    parts = {name for name, node in nodes.items() if node.op in _VARIABLES and _PART.fullmatch(name)}
    if not parts:
        return graph_def
    readers: dict[str, list[NodeDef]] = defaultdict(list)
    for node in graph_def.node:
        for text in node.input:
            readers[text.removeprefix("^").partition(":")[0]].append(node)
    joined: dict[str, NodeDef] = {}
    gone: set[str] = set()
    for node in graph_def.node:
        found = _joined(node, nodes, readers)
        if found is not None:
            joined[found.name] = found
            gone.update({node.name, *(name for name in parts if _base(name) == found.name)})
    if not joined:
        return graph_def
    return _with(graph_def, joined, gone, readers)


def _base(part: str) -> str:
    match = _PART.fullmatch(part)
    return match[1] if match else ""


def _joined(node: NodeDef, nodes: Mapping[str, NodeDef], readers: Mapping[str, list[NodeDef]]) -> NodeDef | None:
    """The whole variable, if the node is where all its parts are joined."""
    if node.op != "ConcatV2" or len(node.input) < 3:
        return None
    axis = nodes.get(node.input[-1])
    variables = [_variable(text, nodes) for text in node.input[:-1]]
    if axis is None or axis.op != "Const" or any(variable is None for variable in variables):
        return None
    known = [variable for variable in variables if variable is not None]
    bases = {_base(variable.name) for variable in known}
    base = bases.pop()
    whole = nodes.get(base)
    if bases or not base or [v.name for v in known] != [f"{base}/part_{index}" for index in range(len(known))]:
        return None
    if whole is None or whole.op != "Identity" or whole.input[0] != node.name or f"{base}/part_{len(known)}" in nodes:
        return None
    if any(not _aside(reader, node, readers) for variable in known for reader in readers[variable.name]):
        return None
    return _made(base, known, int(np.asarray(make_ndarray(axis.attr["value"].tensor))))


def _variable(text: str, nodes: Mapping[str, NodeDef]) -> NodeDef | None:
    """The part that a tensor is read of."""
    node = nodes.get(text.partition(":")[0])
    while node is not None and node.op in _READS and node.input:
        node = nodes.get(node.input[0].partition(":")[0])
    return node if node is not None and node.op in _VARIABLES and _PART.fullmatch(node.name) else None


def _aside(reader: NodeDef, concat: NodeDef, readers: Mapping[str, list[NodeDef]]) -> bool:
    """Whether what reads a part is its sum, or leaves the network alone."""
    if reader.op in _READS:
        return all(_aside(further, concat, readers) for further in readers[reader.name])
    return reader.name == concat.name or reader.op in _ASIDE


def _made(name: str, parts: list[NodeDef], axis: int) -> NodeDef:
    """One variable of all parts."""
    made = NodeDef(name=name, op=parts[0].op)
    for key in ("dtype", "shape"):
        made.attr[key].CopyFrom(parts[0].attr[key])
    dims = made.attr["shape"].shape.dim
    dims[axis].size = sum(part.attr["shape"].shape.dim[axis].size for part in parts)
    if made.op == "VarHandleOp":
        made.attr["shared_name"].s = name.encode()
    return made


def _with(
    graph_def: GraphDef, joined: Mapping[str, NodeDef], gone: set[str], readers: Mapping[str, list[NodeDef]]
) -> GraphDef:
    """The graph with the whole variables; what read their parts goes with them."""
    waiting = list(gone)
    while waiting:
        name = waiting.pop()
        for reader in readers[name]:
            if reader.name not in gone and reader.name not in joined and f"^{name}" not in reader.input:
                gone.add(reader.name)
                waiting.append(reader.name)
    result = GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        if node.name in gone:
            continue
        copy = result.node.add()
        copy.CopyFrom(joined.get(node.name, node))
        if node.name in joined:
            if copy.op == "VarHandleOp":
                copy.name = f"{node.name}/handle"
                result.node.add(name=node.name, op="ReadVariableOp", input=[copy.name]).attr["dtype"].CopyFrom(
                    copy.attr["dtype"]
                )
            continue
        kept = [text for text in node.input if text.removeprefix("^").partition(":")[0] not in gone]
        del copy.input[:]
        copy.input.extend(kept)
    return result
