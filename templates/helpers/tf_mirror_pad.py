def tf_mirror_pad(x, paddings, symmetric=False):
    """Pads each axis with its mirror image, as tf.pad in mode SYMMETRIC or REFLECT."""
    for axis, (before, after) in enumerate(paddings):
        size, edge = x.shape[axis], 0 if symmetric else 1
        front = list(range(before - 1 + edge, edge - 1, -1))
        back = list(range(size - 1 - edge, size - 1 - edge - after, -1))
        if front or back:
            x = ops.gather(x, ms.Tensor(front + list(range(size)) + back, ms.int32), axis)
    return x
