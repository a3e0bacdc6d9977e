"""SavedModels of TensorFlow 1 and 2: the graph, the signature that was chosen, and where each variable's value is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import types_pb2
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

from tf2ms.errors import SourceError
from tf2ms.source.functions import CALLS, inline_calls
from tf2ms.source.naming import OBJECT_SUFFIX

DEFAULT_SIGNATURE = "serving_default"
_INITIALISING = "__saved_model_init_op"


@dataclass(frozen=True)
class Signature:
    """One way to call a SavedModel: (the argument's or result's name, its tensor in the graph), in order."""

    name: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    description: str = ""


def signatures_of(meta_graph: MetaGraphDef) -> dict[str, Signature]:
    """What can be called, by name; signatures that only initialise are not among them."""
    found = {}
    for name in sorted(meta_graph.signature_def):
        definition = meta_graph.signature_def[name]
        outputs = _tensors(definition.outputs)
        if name != _INITIALISING and outputs:
            inputs = _tensors(definition.inputs)
            text = f"({_described(definition.inputs)}) -> {_described(definition.outputs)}"
            found[name] = Signature(name, inputs, outputs, text)
    return found


def _tensors(infos: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Plain tensors, sorted as people count: output_2 before output_10."""
    return tuple((key, infos[key].name) for key in sorted(infos, key=_natural) if infos[key].name)


def _described(infos: Mapping[str, Any]) -> str:
    parts = []
    for key, _ in _tensors(infos):
        shape, dtype = infos[key].tensor_shape, types_pb2.DataType.Name(infos[key].dtype)[3:].lower()
        sizes = "?" if shape.unknown_rank else ", ".join("?" if d.size < 0 else str(d.size) for d in shape.dim)
        parts.append(f"{key}: {dtype} [{sizes}]")
    return ", ".join(parts)


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def choose_signature(path: Path, signatures: Mapping[str, Signature], name: str | None) -> Signature | None:
    """The signature of that name; by default `serving_default`, else the only one; None where there are none.

    Raises SourceError, listing what there is, for a name that is not there or where several may be meant.
    """
    if name is not None and name not in signatures:
        listed = "; ".join(f"{key}{item.description}" for key, item in signatures.items())
        raise SourceError(f"{path}: no signature '{name}'; it has {listed or 'none'}")
    if name is not None or DEFAULT_SIGNATURE in signatures:
        return signatures[name or DEFAULT_SIGNATURE]
    if len(signatures) > 1:
        listed = "\n  ".join(f"{key}{item.description}" for key, item in signatures.items())
        raise SourceError(f"{path}: has no signature '{DEFAULT_SIGNATURE}'; choose one with --signature:\n  {listed}")
    return next(iter(signatures.values()), None)


def serving_graph(path: Path, meta_graph: MetaGraphDef, signature: Signature | None) -> GraphDef:
    """The graph with its functions' bodies in place; where it has some, just what the signature needs.

    Raises SourceError for a graph that is all functions and has no signature to say which is meant.
    """
    graph_def = meta_graph.graph_def
    calls = {node.name for node in graph_def.node if node.op in CALLS}
    if signature is None:
        if calls:
            raise SourceError(
                f"{path}: has no signature, so nothing says which of its functions is the network: save it with "
                "tf.saved_model.save(module, folder, signatures=module.__call__.get_concrete_function(...))"
            )
        return inline_calls(graph_def, op_definitions(meta_graph))
    if calls:  # as TensorFlow 2 writes it: the rest is saving, restoring and other signatures
        kept = GraphDef(library=graph_def.library, versions=graph_def.versions)
        needed = _ancestors(graph_def, [_node(tensor) for _, tensor in signature.outputs + signature.inputs])
        kept.node.extend(node for node in graph_def.node if node.name in needed)
        graph_def = kept
    return inline_calls(graph_def, op_definitions(meta_graph))


def op_definitions(meta_graph: MetaGraphDef) -> Iterable[Any]:
    """The definitions of ops that a MetaGraphDef brings along."""
    return meta_graph.meta_info_def.stripped_op_list.op


def variable_keys(meta_graph: MetaGraphDef) -> dict[str, str]:
    """variable -> its key in the checkpoint, as the graph's own restoring part assigns them."""
    restore = meta_graph.saver_def.restore_op_name.partition(":")[0]
    graph_def = meta_graph.graph_def
    if restore not in {node.name for node in graph_def.node}:
        return {}
    wanted = _ancestors(graph_def, [restore])
    part = GraphDef(library=graph_def.library, versions=graph_def.versions)
    part.node.extend(node for node in graph_def.node if node.name in wanted)
    nodes = {node.name: node for node in inline_calls(part, op_definitions(meta_graph)).node}

    def source(text: str) -> tuple[Any, int]:
        """The node behind copies, and which of its outputs."""
        name, _, index = text.partition(":")
        node, number = nodes[name], int(index or 0)
        while node.op in ("Identity", "IdentityN", "Cast"):
            name, _, index = node.input[number].partition(":")
            node, number = nodes[name], int(index or 0)
        return node, number

    keys = {}
    for node in nodes.values():
        if node.op not in ("AssignVariableOp", "Assign") or len(node.input) < 2:
            continue
        (variable, _), (restored, index) = source(node.input[0]), source(node.input[1])
        if restored.op == "RestoreV2":
            names = source(restored.input[1])[0].attr["value"].tensor.string_val
            if index < len(names):
                keys[_variable_name(variable)] = names[index].decode("utf-8", "replace").removesuffix(OBJECT_SUFFIX)
    return keys


def _variable_name(node: Any) -> str:
    return str(node.attr["shared_name"].s.decode("utf-8", "replace") or node.name)


def _node(text: str) -> str:
    return text.removeprefix("^").partition(":")[0]


def _ancestors(graph_def: GraphDef, roots: Iterable[str]) -> set[str]:
    """`roots` and all that they need, order of execution included."""
    inputs = {node.name: node.input for node in graph_def.node}
    seen: set[str] = set()
    stack = list(roots)
    while stack:
        name = stack.pop()
        if name not in seen and name in inputs:
            seen.add(name)
            stack.extend(map(_node, inputs[name]))
    return seen
