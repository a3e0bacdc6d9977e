"""Padding and dilation that stand around a convolution become its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tf2ms.graph import Node, Shape
from tf2ms.rewrite import View, rewrites

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
_ALONG_ONE = {
    "Conv2D": "Conv1D",
    "DepthwiseConv2dNative": "DepthwiseConv1D",
    "MaxPool": "MaxPool1D",
    "AvgPool": "AvgPool1D",
}


@rewrites("BatchToSpaceND")
def dilated_convolution(view: View, end: Node) -> Node | None:
    """SpaceToBatchND, convolution without padding, BatchToSpaceND  =>  the convolution with dilation."""
    convolution = view.only(end.inputs[0], "Conv1D", *_CONVOLUTIONS)
    if convolution is None or convolution.attr("padding") != "VALID" or _spaced(convolution):
        return None
    start = view.only(convolution.inputs[0], "SpaceToBatchND")
    if start is None or convolution.attr("data_format", "NHWC") != "NHWC":
        return None
    blocks = [view.constant(node.inputs[1]) for node in (start, end)]
    pads, crops = (view.constant(node.inputs[2]) for node in (start, end))
    if any(value is None for value in (*blocks, pads, crops)) or blocks[0].tolist() != blocks[1].tolist():
        return None
    axes = (convolution.attr("kept"),) if convolution.op == "Conv1D" else (1, 2)
    if pads.shape != (len(axes), 2) or crops[:, 0].any() or (pads < crops).any():
        return None
    dilations, edges = [1, 1, 1, 1], [[0, 0], [0, 0]]
    for axis, block, pair in zip(axes, blocks[0].tolist(), (pads - crops).tolist(), strict=True):
        dilations[axis], edges[axis - 1] = block, pair
    (top, bottom), (left, right) = edges
    if convolution.op == "Conv1D" and (top, left) != (bottom, right):
        return None  # nn.Conv1d pads both ends alike
    return _padded(
        replace(end, inputs=(start.inputs[0], *convolution.inputs[1:])),
        convolution,
        (top, bottom, left, right),
        {"dilations": dilations},
        (*end.origins, *convolution.origins, *start.origins),
        view[convolution.inputs[1]].weight_shape(),
    )


@rewrites(*_CONVOLUTIONS)
def padded_convolution(view: View, node: Node) -> Node | None:
    """Pad with zeros, convolution without padding  =>  the convolution with that padding."""
    pad = view.only(node.inputs[0], "Pad", "PadV2")
    if pad is None or node.attr("padding") != "VALID" or node.attr("data_format", "NHWC") != "NHWC":
        return None
    pads = view.constant(pad.inputs[1])
    filled = view.number(pad.inputs[2]) if pad.op == "PadV2" else 0
    if pads is None or pads.shape != (4, 2) or pads[[0, 3]].any() or (pads < 0).any() or filled != 0:
        return None
    (top, bottom), (left, right) = pads[1:3].tolist()
    inputs = (pad.inputs[0], *node.inputs[1:])
    origins = node.origins + pad.origins
    if [(top, bottom), (left, right)] == _same_padding(view, node, view.shape(pad.inputs[0])):
        return replace(node, inputs=inputs, attrs={**node.attrs, "padding": "SAME"}, origins=origins)
    return _padded(replace(node, inputs=inputs), node, (top, bottom, left, right), {}, origins, None)


@rewrites("Squeeze")
def along_one_axis(view: View, squeeze: Node) -> Node | None:
    """ExpandDims, a convolution or pool over the other axis alone, Squeeze  =>  the layer over one axis."""
    layer = view.only(squeeze.inputs[0], *_ALONG_ONE)
    depthwise = view.only(layer.inputs[0], "DepthwiseConv2dNative") if layer is not None else None
    expand = view[(depthwise or layer).inputs[0]] if layer is not None else None
    shape = view.shape(squeeze.inputs[0])
    if layer is None or expand is None or expand.op != "ExpandDims" or shape is None or len(shape) != 4:
        return None
    added, taken = view.number(expand.inputs[1]), squeeze.attr("squeeze_dims") or []
    if added is None or [int(added) % 4] != [axis % 4 for axis in taken] or int(added) % 4 not in (1, 2):
        return None
    axis, x, origins = int(added) % 4, expand.inputs[0], squeeze.origins + layer.origins
    if not all(_leaves_alone(view, inner, axis) for inner in (layer, depthwise) if inner is not None):
        return None
    if depthwise is not None:  # a separable convolution: its first half is put in its place here
        inner = replace(depthwise, op="DepthwiseConv1D", inputs=(x, *depthwise.inputs[1:]))
        whole = view.shape(layer.inputs[0]) or (None,) * 4
        inner = replace(
            inner, attrs={**depthwise.attrs, "kept": 3 - axis}, shapes=((whole[0], whole[3 - axis], whole[3]),)
        )
        view.nodes[inner.name] = replace(inner, origins=depthwise.origins + expand.origins)
        x = layer.inputs[0]
    else:
        origins += expand.origins
    attrs = {**layer.attrs, "kept": 3 - axis}
    return replace(squeeze, op=_ALONG_ONE[layer.op], inputs=(x, *layer.inputs[1:]), attrs=attrs, origins=origins)


def _leaves_alone(view: View, layer: Node, axis: int) -> bool:
    """Whether the layer does nothing along an axis of size 1: its strides do not matter there."""
    kernel = "Conv" in layer.op
    sizes = view.shape(layer.inputs[1]) if kernel else (layer.attr("ksize") or ())[1:]
    if not sizes or sizes[axis - 1] != 1 or (kernel and not view.is_weight(layer.inputs[1])):
        return False
    return layer.attr("data_format", "NHWC") == "NHWC" and layer.attr("padding") in ("SAME", "VALID")


rewrites("BatchToSpaceND")(dilated_convolution)  # once more, around what works along one axis


def _same_padding(view: View, node: Node, shape: Shape) -> list[tuple[int, int]] | None:
    """What SAME pads an input of that shape with; None where its size is unknown."""
    kernel = view.shape(node.inputs[1])
    if shape is None or kernel is None or len(shape) != 4 or None in (*shape[1:3], *kernel):
        return None
    strides, dilations = node.attr("strides") or [1] * 4, node.attr("dilations") or [1] * 4
    found = []
    for axis in (1, 2):
        size, span = shape[axis] or 0, ((kernel[axis - 1] or 0) - 1) * dilations[axis] + 1
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + span - size, 0)
        found.append((total // 2, total - total // 2))
    return found


def _padded(
    node: Node,
    convolution: Node,
    pads: tuple[int, int, int, int],
    more: dict[str, object],
    origins: tuple[str, ...],
    kernel: Sequence[int] | None,
) -> Node:
    """The convolution in `node`'s place with (top, bottom, left, right) of padding; SAME where that is the same."""
    attrs = {**convolution.attrs, **more}
    dilations = attrs.get("dilations") or [1, 1, 1, 1]
    spans = [(size - 1) * dilations[axis + 1] for axis, size in enumerate((kernel or ())[:2])]
    if not any(pads):
        attrs["padding"] = "VALID"
    elif spans and pads == tuple(part for span in spans for part in (span // 2, span - span // 2)):
        attrs["padding"] = "SAME"  # with a stride of 1
    else:
        attrs["padding"] = "EXPLICIT"
        attrs["explicit_paddings"] = [0, 0, *pads, 0, 0]
    return replace(node, op=convolution.op, attrs=attrs, origins=origins)


def _spaced(convolution: Node) -> bool:
    """Whether the convolution has strides or a dilation of its own."""
    return set(convolution.attr("strides") or ()) != {1} or set(convolution.attr("dilations") or (1,)) != {1}
