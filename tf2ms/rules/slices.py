"""StridedSlice as Python indexing: what each spec means once the masks are applied."""

from __future__ import annotations

from typing import Any

from tf2ms.graph import Graph, Node
from tf2ms.layout import Need, channels_first_perm, keeps_order
from tf2ms.rules.op import Expression, NoForm, Op
from tf2ms.rules.sizes import Part, Sizes


def slice_layout(node: Node, graph: Graph) -> Need:
    """A slice that keeps every axis may have them in either order."""
    rank = len(graph.shape(node.inputs[0]) or ())
    other = node.attr("new_axis_mask") or node.attr("shrink_axis_mask")
    return keeps_order(node, graph) if other or not 3 <= rank <= 5 else Need(tied=(("in", 0), ("out", 0)))


def strided_slice_text(op: Op, data: str = "{0}", rank: int | None = None) -> Expression:
    """`data[...]` for the op's begin, end and strides under its masks; `rank` is the data's where it is no input.

    An axis with a stride is taken by `tf_strided`, unless it is the last: MindSpore's gradient fails on the others.
    Bounds that are computed while the graph runs are written as they are computed.
    """
    strides = op.required_constant(3, "the strides").reshape(-1)
    starts, ends = op.sizes(1), op.sizes(2)
    count = len(strides)
    if len(starts.parts) != count or len(ends.parts) != count:
        raise NoForm("the bounds of the slice are computed as a whole while the graph runs")
    masks = {name: int(op.attr(f"{name}_mask", 0)) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    consumed = sum(not (masks["ellipsis"] >> i & 1) and not (masks["new_axis"] >> i & 1) for i in range(count))
    operands: list[Any] = [op.tensor(0)]
    parts: list[str] = []
    strided: list[tuple[int, str]] = []
    axis, moved = 0, rank is None and op.is_channels_first(op.node.inputs[0])
    rank = op.rank() if rank is None else rank
    for i in range(count):
        if masks["ellipsis"] >> i & 1:
            left = rank - consumed
            parts += [":"] * left
            axis += left
            continue
        if masks["new_axis"] >> i & 1:
            parts.append("None")
            continue
        begin, end, stride = starts.parts[i], ends.parts[i], int(strides[i])
        if masks["shrink_axis"] >> i & 1:
            parts.append(_placed(begin, operands))
            axis += 1
            continue
        first = None if masks["begin"] >> i & 1 else begin
        last = None if masks["end"] >> i & 1 else end
        bounds = [_bound(part, operands) for part in (first, last)]
        if stride < 0 or (stride > 1 and (moved or axis != rank - 1) and rank > 2):
            strided.append(
                (op.axis(axis) if moved else axis, f"slice({bounds[0] or None}, {bounds[1] or None}, {stride})")
            )
            parts.append(":")
        else:
            text = ":".join(bounds)
            text = text.removeprefix("0") if text.startswith("0:") else text
            parts.append(text + (f":{stride}" if stride != 1 else ""))
        axis += 1
    if moved:  # then every part is a range of its axis, as `slice_layout` asks
        parts += [":"] * (op.rank() - len(parts))
        parts = [parts[axis] for axis in channels_first_perm(len(parts))]
    while parts and parts[-1] == ":":
        parts.pop()
    for axis, part in strided:
        data = f"tf_strided({data}, {axis}, {part})"
    return op.form(f"{data}[{', '.join(parts)}]" if parts else data, *operands)


def _placed(part: Part, operands: list[Any]) -> str:
    """The part's text, its operands added to `operands`."""
    first = len(operands)
    operands.extend(part.operands)
    return Sizes((part,), scalar=True).text(first)


def _bound(part: Part | None, operands: list[Any]) -> str:
    return "" if part is None else _placed(part, operands)
