def tf_resize_nearest(x, size, align_corners=False, half_pixel_centers=False):
    """Images, channels first, in another size by repeating pixels, as tf.image.resize."""
    for axis, target in zip((2, 3), size):
        source = x.shape[axis]
        step = (
            np.float32(source - 1) / np.float32(target - 1)
            if align_corners and target > 1
            else source / np.float32(target)
        )
        place = (np.arange(target, dtype=np.float32) + (0.5 if half_pixel_centers else 0)) * np.float32(step)
        place = np.floor(place + 0.5) if align_corners else np.floor(place)
        x = ops.gather(x, ms.Tensor(np.minimum(place, source - 1).astype(np.int32)), axis)
    return x
