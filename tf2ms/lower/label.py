"""The name that a person knows a node by: its layer's, without the op names that TensorFlow adds."""

from __future__ import annotations

import re

from tf2ms.graph import Node

_DEFAULT_NAMES = {
    "AddV2": "add",
    "RealDiv": "truediv",
    "ConcatV2": "concat",
    "Pack": "stack",
    "Unpack": "unstack",
    "FusedBatchNormV3": "fusedbatchnormv3",
    "FloorMod": "mod",
}


def label(node: Node, within: str | None = None) -> tuple[str, ...]:
    """The path of names: ("conv1",) for `conv1/BiasAdd` and for `conv1/conv1`, ("block1", "conv") for nested scopes.

    Inside a body the names begin `within` the node that holds it.

    Empty for a node that has nothing but TensorFlow's default name, such as `add_4`.
    """
    parts = _INLINED.sub("", node.name if within is None else _inside(node.name, within)).split("/")
    last = parts[-1]
    if is_default_name(last, node) or (len(parts) > 1 and last == parts[-2]):
        parts = parts[:-1]
    return tuple(part for part in parts if part)


_INLINED = re.compile(r"_tfg_inlined_\w+$")
"""What TensorFlow's optimizer adds to the names of functions that it writes out."""


def _inside(name: str, within: str) -> str:
    """The name without that of the loop or condition around it, and of its function."""
    within = re.sub(r"/flow_\d+$", "", within)
    name = re.sub(rf"^{re.escape(within)}/((cond|body|then|else|branch_?\d+)/)?(_\d+/)?", "", name)
    for own in (f"{within}/", f"{within.rpartition('/')[2]}/"):
        while name.startswith(own):
            name = name.removeprefix(own)
    return name


def is_default_name(name: str, node: Node) -> bool:
    """Whether the name is one that TensorFlow makes up: the op type, or its function's name, and a number."""
    stem = re.sub(r"_\d+$", "", name).lower()
    ops = {node.op, *(origin.rpartition("/")[2] for origin in node.origins[1:])}
    if node.op == "Dropout":  # the last of the ops that it was written in
        return stem in ("mul", "select", "selectv2")
    known = {op.lower() for op in ops} | {_DEFAULT_NAMES.get(op, op).lower() for op in ops}
    return stem in known or stem in _LAYER_OPS


_LAYER_OPS = frozenset(
    """
    conv2d biasadd matmul relu add depthwise xw_plus_b placeholder tensorarrayreadv3 tensorarrayv2read while hidden
    """.split()
)
