"""What stands around dense layers: reshapes there and back; and steps that do nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tf2ms.graph import Node, Tensor
from tf2ms.rewrite import View, rewrites
from tf2ms.rewrite.activations import nothing_done
from tf2ms.rewrite.patterns import bias, dense_relu
from tf2ms.rewrite.weights import as_shape, dense_over_last_axis, same_shape


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
rewrites("Reshape")(dense_over_last_axis)  # also those with a bias
rewrites("Relu")(dense_relu)


@rewrites("Reshape")
def reshaped_twice(view: View, node: Node) -> Node | None:
    """A reshape of a reshape  =>  one; to the shape that the tensor has  =>  nothing."""
    inner = view[node.inputs[0]]
    x = inner.inputs[0] if inner.op == "Reshape" else node.inputs[0]
    shape = view.shape(x)
    if shape is not None and 0 not in shape and same_shape(node.shape(), shape) and not view.is_weight(x):
        return replace(node, op="Identity", inputs=(x,), origins=node.origins + inner.origins * (inner.op == "Reshape"))
    if inner.op != "Reshape":
        return None
    own = (inner.origins) if view.only(node.inputs[0], "Reshape") else ()
    return replace(node, inputs=(x, *node.inputs[1:]), origins=node.origins + own)


rewrites("Add", "AddV2", "Sub", "Mul", "RealDiv")(nothing_done)
