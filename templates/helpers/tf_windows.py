def tf_windows(x, size, strides, rates, same, fill):
    """For each place of a window, row by row, the image as seen from there; images are channels last."""
    counts, pads = [], []
    for axis in (0, 1):
        length, span = x.shape[axis + 1], (size[axis] - 1) * rates[axis] + 1
        counts.append(-(-length // strides[axis]) if same else (length - span) // strides[axis] + 1)
        total = max((counts[axis] - 1) * strides[axis] + span - length, 0)
        pads.append((total // 2, total - total // 2))
    if pads[0] != (0, 0) or pads[1] != (0, 0):
        x = ops.pad(x, (0, 0) + pads[1] + pads[0], value=fill)
    rows, columns = ops.arange(counts[0]) * strides[0], ops.arange(counts[1]) * strides[1]
    windows = []
    for row in range(size[0]):
        line = ops.gather(x, rows + row * rates[0], 1)
        for column in range(size[1]):
            windows.append(ops.gather(line, columns + column * rates[1], 2))
    return windows
