"""What stands around attention's dense layers, and steps that do nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tf2ms.graph import Node, Tensor
from tf2ms.rewrite import View, rewrites
from tf2ms.rewrite.patterns import bias
from tf2ms.rewrite.weights import as_shape


@rewrites("Add", "AddV2")
def bias_of_heads(view: View, add: Node) -> Node | None:
    """Dense, its features split into heads, a bias for each feature of each head  =>  Dense with bias, then split."""
    for split, vector in (add.inputs[:2], add.inputs[1::-1]):
        reshape = view.only(split, "Reshape")
        dense = view.only(reshape.inputs[0], "Dense") if reshape is not None else None
        matrix = view[dense.inputs[1]].weight_shape() if dense is not None and len(dense.inputs) == 2 else None
        shape, given = view.shape(split), view[vector].weight_shape()
        if reshape is None or dense is None or matrix is None or shape is None or not given:
            continue
        size = matrix[0] if dense.attr("transpose_b") else matrix[-1]
        if shape[-len(given) :] != given or int(np.prod(given)) != size:
            continue
        flat = as_shape(replace(view[vector], name=f"{vector.node}/vector"), view[vector], (size,))
        view.nodes[flat.name] = flat
        inputs = (*dense.inputs, Tensor(flat.name))
        view.nodes[dense.name] = replace(dense, inputs=inputs, origins=dense.origins + add.origins[1:])
        return replace(reshape, name=add.name, origins=add.origins + reshape.origins)
    return None


rewrites("BiasAdd", "Add", "AddV2")(bias)  # once more, now that all layers are known


@rewrites("Add", "AddV2", "Sub", "Mul", "RealDiv")
def nothing_done(view: View, node: Node) -> Node | None:
    """x + 0, x - 0, x * 1 and x / 1, where it keeps the shape  =>  x."""
    neutral = 0 if node.op in ("Add", "AddV2", "Sub") else 1
    pairs = [(0, 1)] if node.op in ("Sub", "RealDiv") else [(0, 1), (1, 0)]
    for kept, other in pairs:
        value = view.constant(node.inputs[other])
        shape = view.shape(node.inputs[kept])
        if value is None or value.dtype.kind not in "iuf" or value.size == 0 or np.any(value != neutral):
            continue
        if shape is not None and not view.is_weight(node.inputs[kept]) and (value.ndim == 0 or node.shape() == shape):
            return replace(node, op="Identity", inputs=(node.inputs[kept],))
    return None
