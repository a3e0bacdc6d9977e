def tf_windows(x, size, strides, rates, same, fill):
    """For each place of a window, row by row, the image as seen from there; images are channels last."""
    counts, pads = [], []
    for axis in (0, 1):
        length, span = x.shape[axis + 1], (size[axis] - 1) * rates[axis] + 1
        counts.append(-(-length // strides[axis]) if same else (length - span) // strides[axis] + 1)
        total = max((counts[axis] - 1) * strides[axis] + span - length, 0)
        pads.append((total // 2, total - total // 2))
    if any(map(any, pads)):
        x = ops.pad(x, (0, 0) + pads[1] + pads[0], value=fill)
    steps = [ops.arange(count) * stride for count, stride in zip(counts, strides)]
    rows = [ops.gather(x, steps[0] + row * rates[0], 1) for row in range(size[0])]
    return [ops.gather(row, steps[1] + column * rates[1], 2) for row in rows for column in range(size[1])]
