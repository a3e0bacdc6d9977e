def tf_resize_grad(gradient, size, nearest=False, align_corners=False, half_pixel_centers=False):
    """The gradient of tf.image.resize, bilinear or nearest, by images of `size`, channels last."""
    for axis, source in zip((1, 2), size):
        target = gradient.shape[axis]
        step = np.float32((source - 1) / (target - 1) if align_corners and target > 1 else source / target)
        place = np.arange(target, dtype=np.float32)
        if nearest:
            place = (place + (0.5 if half_pixel_centers else 0)) * step
            low = np.minimum(np.floor(place + 0.5) if align_corners else np.floor(place), source - 1)
            share, high = np.zeros(target, np.float32), low
        else:
            place = (place + 0.5) * step - 0.5 if half_pixel_centers else place * step
            share = place - np.floor(place)
            low, high = np.clip(np.floor(place), 0, None), np.minimum(np.ceil(place), source - 1)
        matrix = np.zeros((source, target), np.float32)
        np.add.at(matrix, (low.astype(int), np.arange(target)), 1 - share)
        np.add.at(matrix, (high.astype(int), np.arange(target)), share)
        matrix = ms.Tensor(matrix, gradient.dtype)
        gradient = ops.swapaxes(ops.matmul(matrix, ops.swapaxes(gradient, axis, -2)), axis, -2)
    return gradient
