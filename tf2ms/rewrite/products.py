"""Dense layers on more than rows, attention's products, padding before a convolution, GELU: as one layer each."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tf2ms.graph import Node, Tensor
from tf2ms.rewrite import View, rewrites
from tf2ms.rewrite.patterns import bias


@rewrites("Conv2D", "DepthwiseConv2dNative")
def padded_convolution(view: View, convolution: Node) -> Node | None:
    """Pad with zeros, then a convolution without padding  =>  the convolution with that padding."""
    pad = view.only(convolution.inputs[0], "Pad")
    if pad is None or convolution.attr("padding") != "VALID" or len(convolution.inputs) < 2:
        return None
    widths = view.constant(pad.inputs[1])
    if widths is None or widths.shape != (4, 2) or convolution.attr("data_format", "NHWC") != "NHWC":
        return None
    edges = [[int(size) for size in pair] for pair in widths]
    if edges[0] != [0, 0] or edges[3] != [0, 0] or min(map(min, edges)) < 0:
        return None
    padding = {"padding": "EXPLICIT", "explicit_paddings": [size for pair in edges for size in pair]}
    if edges[1:3] == _same_padding(view, convolution, view.shape(pad.inputs[0]) or ()):
        padding = {"padding": "SAME"}
    inputs = (pad.inputs[0], *convolution.inputs[1:])
    attrs = {**convolution.attrs, **padding}
    return replace(convolution, inputs=inputs, attrs=attrs, origins=convolution.origins + pad.origins)


def _same_padding(view: View, convolution: Node, shape: tuple[int | None, ...]) -> list[list[int]] | None:
    """What SAME pads an input of that shape with; None where the size is unknown."""
    kernel = view.shape(convolution.inputs[1])
    if len(shape) != 4 or kernel is None or None in (*shape[1:3], *kernel):
        return None
    strides = convolution.attr("strides") or [1] * 4
    dilations = convolution.attr("dilations") or [1] * 4
    found = []
    for axis in (1, 2):
        size, stride = shape[axis], strides[axis]
        span = (kernel[axis - 1] - 1) * dilations[axis] + 1  # type: ignore[operator]
        total = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
        found.append([total // 2, total - total // 2])
    return found


@rewrites("Reshape")
def dense_on_last_axis(view: View, reshape: Node) -> Node | None:
    """tf.tensordot with a matrix, as Keras writes Dense on a tensor of rank 3 or more  =>  MatMul on the last axis.

    On images it is a convolution of 1x1, which takes the channels where they are.
    """
    product = view.only(reshape.inputs[0], "MatMul")
    if product is None or len(product.inputs) != 2 or product.attr("transpose_a") or product.attr("transpose_b"):
        return None
    rows = view.only(product.inputs[0], "Reshape")
    kernel = view.shape(product.inputs[1])
    if rows is None or kernel is None or len(kernel) != 2 or not view[product.inputs[1]].is_weight():
        return None
    x, origins = rows.inputs[0], (*reshape.origins, *product.origins, *rows.origins)
    move = view.only(x, "Transpose")
    if move is not None and _is_identity(view, move):
        x, origins = move.inputs[0], (*origins, *move.origins)
    shape = view.shape(x) or ()
    if len(shape) < 3 or shape[-1] != kernel[0] or not _keeps_outer(view, reshape, x, shape, kernel[1]):  # type: ignore[arg-type]
        return None
    shapes = ((*shape[:-1], kernel[1]),)
    if len(shape) == 4:
        attrs = {"strides": [1] * 4, "padding": "VALID", "T": product.attr("T") or "float32"}
        return replace(reshape, op="Conv2D", inputs=(x, product.inputs[1]), attrs=attrs, shapes=shapes, origins=origins)
    return replace(
        reshape, op="MatMul", inputs=(x, product.inputs[1]), attrs=product.attrs, shapes=shapes, origins=origins
    )


def _is_identity(view: View, transpose: Node) -> bool:
    perm = view.constant(transpose.inputs[1])
    return perm is not None and perm.tolist() == list(range(perm.size))


def _keeps_outer(view: View, reshape: Node, x: Tensor, shape: tuple[int | None, ...], features: int) -> bool:
    """Whether the reshape gives back all axes of x but the last, which becomes `features`."""
    target = reshape.shape()
    if target is not None and target[:-1] == shape[:-1] and target[-1] == features and shape[:-1].count(None) <= 1:
        return True
    join = view[reshape.inputs[1]]
    if join.op != "ConcatV2" or len(join.inputs) != 3:
        return False
    outer, last = view[join.inputs[0]], view.number(join.inputs[1])
    if outer.op != "GatherV2" or view[outer.inputs[0]].op != "Shape" or last != features:
        return False
    axes = view.constant(outer.inputs[1])
    source = view[outer.inputs[0]].inputs[0]
    return source == x and axes is not None and axes.tolist() == list(range(len(shape) - 1))


@rewrites("BatchMatMulV2", "BatchMatMul")
def dense_with_reshaped_kernel(view: View, product: Node) -> Node | None:
    """A product with a reshaped variable, as Keras writes EinsumDense  =>  MatMul that knows the kernel's shape."""
    reshape = view.only(product.inputs[1], "Reshape")
    shape, kernel = view.shape(product.inputs[0]) or (), product.inputs[1]
    if product.attr("adj_x") or product.attr("adj_y") or len(shape) != 3:
        return None
    sizes = (reshape or view[kernel]).shape() if reshape else view.shape(kernel)
    if sizes is None or len(sizes) != 2 or None in sizes or shape[-1] != sizes[0]:
        return None
    held = reshape.inputs[0] if reshape else kernel
    if not view[held].is_weight():
        return None
    attrs: dict[str, object] = {"T": product.attr("T") or "float32"}
    if reshape:
        attrs["kernel_shape"] = sizes
    return replace(product, op="MatMul", inputs=(product.inputs[0], held), attrs=attrs)


@rewrites("Add", "AddV2")
def bias_before_reshape(view: View, add: Node) -> Node | None:
    """A dense layer, its features split into heads, then a bias for each  =>  the layer with its bias."""
    for split, vector in (add.inputs, add.inputs[::-1]):
        reshape = view.only(split, "Reshape")
        layer = view.only(reshape.inputs[0], "MatMul") if reshape else None
        if reshape is None or layer is None or len(layer.inputs) != 2 or not layer.attr("kernel_shape"):
            continue
        shape, given = reshape.shape() or (), view[vector].weight_shape()
        if given is None or len(given) < 2 or shape[-len(given) :] != given:
            continue
        if math.prod(given) != layer.attr("kernel_shape")[-1]:
            continue
        view.nodes[layer.name] = replace(layer, inputs=(*layer.inputs, vector), origins=layer.origins + add.origins[1:])
        return replace(reshape, name=add.name, origins=add.origins + reshape.origins)
    return None


rewrites("BiasAdd", "Add", "AddV2")(bias)  # again, for the layers made here


@rewrites("Mul")
def gelu(view: View, last: Node) -> Node | None:
    """0.5 * x * erfc(-x / sqrt(2)), or with 1 + erf(x / sqrt(2))  =>  Gelu."""
    for half, curve in (last.inputs, last.inputs[::-1]):
        product, other = view.only(half, "Mul"), view.only(curve, "Erfc", "Add", "AddV2")
        if product is None or other is None:
            continue
        for x, number in (product.inputs, product.inputs[::-1]):
            if view.number(number) == 0.5 and (nodes := _erf_of(view, other, x)):
                origins = (*last.origins, *product.origins, *(name for node in nodes for name in node.origins))
                return replace(last, op="Gelu", inputs=(x,), attrs={"T": last.attr("T")}, origins=origins)
    return None


@rewrites("Mul")
def silu(view: View, last: Node) -> Node | None:
    """x * sigmoid(x)  =>  Silu."""
    for x, gate in (last.inputs, last.inputs[::-1]):
        node = view.only(gate, "Sigmoid")
        if node is None or str(last.attr("T") or "float32") != "float32":
            continue
        argument = view[node.inputs[0]]
        if node.inputs[0] == x or (argument.op == "Mul" and _times_one(view, argument) == x):
            return replace(last, op="Silu", inputs=(x,), attrs={"T": "float32"}, origins=last.origins + node.origins)
    return None


def _times_one(view: View, product: Node) -> Tensor | None:
    for x, number in (product.inputs, product.inputs[::-1]):
        if view.number(number) == 1:
            return x
    return None


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
        if shape is not None and (value.ndim == 0 or node.shape() == shape):
            return replace(node, op="Identity", inputs=(node.inputs[kept],))
    return None


@rewrites("Reshape")
def mean_that_keeps_axes(view: View, reshape: Node) -> Node | None:
    """The mean of each image's channels, reshaped to (batch, 1, 1, channels)  =>  Mean that keeps its axes."""
    mean = view[reshape.inputs[0]]
    if mean.op != "Mean" or mean.attr("keep_dims"):
        return None
    axes, shape, target = view.constant(mean.inputs[1]), view.shape(mean.inputs[0]) or (), reshape.shape() or ()
    if axes is None or sorted(axes.reshape(-1).tolist()) != [1, 2] or len(shape) != 4:
        return None
    if shape[-1] is None or target[1:] != (1, 1, shape[-1]):
        return None
    attrs = {**mean.attrs, "keep_dims": True}
    return replace(reshape, op="Mean", inputs=mean.inputs, attrs=attrs, origins=reshape.origins + mean.origins)


def _erf_of(view: View, curve: Node, x: Tensor) -> tuple[Node, ...]:
    """The nodes of erfc(-x / sqrt(2)) or 1 + erf(x / sqrt(2)); none if it is neither."""
    if curve.op == "Erfc":
        argument = view[curve.inputs[0]]
        return (curve, argument) if _scaled(view, argument) == (x, -1) else ()
    for one, erf in (curve.inputs, curve.inputs[::-1]):
        node = view[erf]
        if view.number(one) == 1 and node.op == "Erf" and _scaled(view, view[node.inputs[0]]) == (x, 1):
            return (curve, node, view[node.inputs[0]])
    return ()


def _scaled(view: View, node: Node) -> tuple[Tensor, int] | None:
    """(x, sign) of x / sqrt(2), with the sign at either factor."""
    if node.op not in ("Mul", "RealDiv"):
        return None
    for value, number in (node.inputs, node.inputs[::-1]):
        factor = view.number(number)
        if factor is None:
            continue
        factor = 1 / factor if node.op == "RealDiv" else factor
        if not np.isclose(abs(factor), math.sqrt(0.5), rtol=1e-6):
            return None
        sign = 1 if factor > 0 else -1
        inner = view[value]
        return (inner.inputs[0], -sign) if inner.op == "Neg" else (value, sign)
    return None
