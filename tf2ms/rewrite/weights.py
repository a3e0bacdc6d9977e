"""Weights seen through reshapes, and products with a matrix of weights over the last axis: dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tf2ms.graph import Node, Shape, Tensor
from tf2ms.graph.types import CONSTANT_OPS
from tf2ms.rewrite import View, rewrites


@rewrites("Reshape", "Squeeze", "ExpandDims")
def reshaped_weight(view: View, node: Node) -> Node | None:
    """A variable or constant in another shape  =>  the same weight, held in that shape."""
    source, shape = view[node.inputs[0]], node.shape()
    if not source.is_weight() or shape is None or None in shape:
        return None
    return as_shape(node, source, [size or 0 for size in shape])


def as_shape(node: Node, weight: Node, shape: Sequence[int]) -> Node:
    """`node` as the weight in that shape."""
    origins = node.origins + weight.origins
    if weight.op in CONSTANT_OPS:
        attrs = {**weight.attrs, "value": weight.attr("value").reshape(shape)}
    else:
        attrs = {**weight.attrs, "shape": tuple(shape), "view_of": weight.attr("view_of", weight.name)}
    return replace(node, op=weight.op, inputs=(), attrs=attrs, shapes=(tuple(shape),), origins=origins)


@rewrites("Reshape")
def dense_over_last_axis(view: View, last: Node) -> Node | None:
    """Transpose that moves nothing, Reshape to rows, MatMul with weights (and bias), Reshape back  =>  Dense."""
    product = view.only(last.inputs[0], "MatMul")
    if product is None or product.attr("transpose_a") or product.attr("activation"):
        return None
    rows = view[product.inputs[0]]
    if rows.op != "Reshape" or not all(map(view.is_weight, product.inputs[1:])):
        return None
    if product.attr("T", "float32") not in ("float32", "float16"):
        return None
    origins, x = last.origins + product.origins + rows.origins, rows.inputs[0]
    moved = view.only(x, "Transpose")
    if moved is not None:
        order = view.constant(moved.inputs[1])
        if order is not None and order.tolist() == list(range(order.size)):
            origins, x = origins + moved.origins, moved.inputs[0]
    given, matrix = view.shape(x), view[product.inputs[1]].weight_shape()
    if given is None or matrix is None or len(given) < 3:
        return None
    inner, units = matrix[::-1] if product.attr("transpose_b") else matrix
    shape = (*given[:-1], units)
    if given[-1] != inner or not (same_shape(last.shape(), shape) or _puts_back(view, last, x, len(given), units)):
        return None
    return replace(
        last, op="Dense", inputs=(x, *product.inputs[1:]), attrs=product.attrs, shapes=(shape,), origins=origins
    )


def _puts_back(view: View, last: Node, x: Tensor, rank: int, units: int) -> bool:
    """Whether the reshape is to x's own sizes and the units: concat(gather(shape(x), [0, 1, …]), [units])."""
    sizes = view[last.inputs[1]]
    if sizes.op != "ConcatV2" or len(sizes.inputs) != 3:
        return False
    gathered, added = view[sizes.inputs[0]], view.constant(sizes.inputs[1])
    if gathered.op not in ("Gather", "GatherV2") or added is None or added.tolist() != [units]:
        return False
    own, axes = view[gathered.inputs[0]], view.constant(gathered.inputs[1])
    whole = own.op == "Shape" and own.inputs[0] == x
    return whole and axes is not None and axes.tolist() == list(range(rank - 1))


@rewrites("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def dense_of_product(view: View, product: Node) -> Node | None:
    """A batched product with one matrix of weights  =>  Dense."""
    shape, matrix = view.shape(product.inputs[0]), view[product.inputs[1]].weight_shape()
    flips = product.attr("adj_x"), product.attr("adj_y")
    if shape is None or len(shape) < 3 or matrix is None or len(matrix) != 2 or flips[0]:
        return None
    if product.attr("T", "float32") not in ("float32", "float16"):
        return None
    return replace(product, op="Dense", attrs={**product.attrs, "transpose_b": bool(flips[1])})


def same_shape(a: Shape, b: Shape) -> bool:
    """Whether a reshape from one to the other, of equally many elements, changes nothing: one size may be unknown."""
    if a is None or b is None or len(a) != len(b):
        return False
    unknown = [x is None or y is None for x, y in zip(a, b, strict=True)]
    return sum(unknown) <= 1 and all(x == y for x, y, free in zip(a, b, unknown, strict=True) if not free)


@rewrites("Reshape", "ExpandDims")
def kept_dimensions(view: View, node: Node) -> Node | None:
    """A reduction, then the axes that it took put back as ones  =>  the reduction with keep_dims."""
    reduction = view.sole(node.inputs[0], node, "Mean", "Sum", "Max", "Min", "Prod")
    shape = view.shape(reduction.inputs[0]) if reduction is not None else None
    if reduction is None or shape is None or reduction.attr("keep_dims"):
        return None
    axes = view.constant(reduction.inputs[1])
    if axes is None:
        return None
    gone = {int(axis) % len(shape) for axis in axes.reshape(-1)}
    if not same_shape(node.shape(), tuple(1 if axis in gone else size for axis, size in enumerate(shape))):
        return None
    attrs = {**reduction.attrs, "keep_dims": True}
    return replace(
        node, op=reduction.op, inputs=reduction.inputs, attrs=attrs, origins=node.origins + reduction.origins
    )
