def tf_resize_area(x, size, align_corners=False):
    """Images, channels last, in another size by means over areas, as tf.image.resize."""
    for axis, target in zip((1, 2), size):
        source = x.shape[axis]
        step = (source - 1) / (target - 1) if align_corners and target > 1 else source / target
        step = step or 1 / target  # of a single row or column the same everywhere
        low = np.arange(target)[:, None] * step
        cells = np.arange(int(np.ceil(low[-1, 0] + step)) + 1)
        weight = np.clip(np.minimum(cells + 1, low + step) - np.maximum(cells, low), 0, None) / step
        matrix = np.zeros((target, source), np.float32)
        np.add.at(matrix.T, np.minimum(cells, source - 1), weight.T.astype(np.float32))
        x = ops.swapaxes(ops.matmul(ms.Tensor(matrix), ops.swapaxes(x, axis, -2)), axis, -2)
    return x
