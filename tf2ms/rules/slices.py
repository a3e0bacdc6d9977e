"""StridedSlice as Python indexing: what each spec means once the masks are applied."""

from __future__ import annotations

from typing import Any

from tf2ms.rules.op import Expression, NoForm, Op
from tf2ms.rules.sizes import Part, Sizes, number


def strided_slice_text(op: Op, data: str = "{0}") -> Expression:
    """`data[...]` for the op's begin, end and strides under its masks.

    Negative strides become a flip and a slice of the flipped axis. Bounds that are computed while the graph runs are
    written as they are computed.
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
    flips: list[int] = []
    axis = 0
    for i in range(count):
        if masks["ellipsis"] >> i & 1:
            left = op.rank() - consumed
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
        if stride < 0:
            flips.append(axis)
            size = (op.shape(0) or (None,) * (axis + 1))[axis]
            first, last = _flipped(first, size), _flipped(last, size)
        text = f"{_bound(first, operands)}:{_bound(last, operands)}"
        text = ":" if text in ("0:", ":") else text.removeprefix("0") if text.startswith("0:") else text
        parts.append(text + (f":{abs(stride)}" if abs(stride) != 1 else ""))
        axis += 1
    while parts and parts[-1] == ":":
        parts.pop()
    data = f"ops.flip({data}, {tuple(flips)})" if flips else data
    return op.form(f"{data}[{', '.join(parts)}]" if parts else data, *operands)


def _placed(part: Part, operands: list[Any]) -> str:
    """The part's text, its operands added to `operands`."""
    first = len(operands)
    operands.extend(part.operands)
    return Sizes((part,), scalar=True).text(first)


def _bound(part: Part | None, operands: list[Any]) -> str:
    return "" if part is None else _placed(part, operands)


def _flipped(part: Part | None, size: int | None) -> Part | None:
    """The bound of a flipped axis: element i stands at size - 1 - i, that is at -1 - i from the end."""
    if part is None:
        return None
    if part.value is None:
        raise NoForm("a negative stride from a bound that is computed while the graph runs")
    value = part.value
    if size is not None:  # clamp as TensorFlow does
        value = max(-1, min(size - 1, value + size if value < 0 else value))
        return number(size - 1 - value)
    if value >= 0:
        raise NoForm("a negative stride over an axis of unknown size; give the input's shape with --shape")
    return number(-1 - value)
