def tf_resize_bicubic(x, size, align_corners=False, half_pixel_centers=False):
    """Images, channels last, in another size by cubic curves, as tf.image.resize."""
    a = -0.5 if half_pixel_centers else -0.75
    for axis, target in zip((1, 2), size):
        source = x.shape[axis]
        step = (source - 1) / (target - 1) if align_corners and target > 1 else source / target
        place = (np.arange(target) + 0.5) * step - 0.5 if half_pixel_centers else np.arange(target) * step
        base = np.floor(place)
        rest = np.round((place - base) * 1024) / 1024  # TensorFlow keeps its weights in a table of 1024 steps
        matrix = np.zeros((target, source), np.float32)
        for offset in (-1, 0, 1, 2):
            d = np.abs(rest - offset)
            near = ((a + 2) * d - (a + 3)) * d * d + 1
            weight = np.where(d <= 1, near, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a)
            index = base + offset
            inside = (index >= 0) & (index < source) | (not half_pixel_centers)
            np.add.at(matrix, (np.arange(target), np.clip(index, 0, source - 1).astype(int)), weight * inside)
        if half_pixel_centers:
            matrix /= matrix.sum(1, keepdims=True)
        x = ops.swapaxes(ops.matmul(ms.Tensor(matrix), ops.swapaxes(x, axis, -2)), axis, -2)
    return x
