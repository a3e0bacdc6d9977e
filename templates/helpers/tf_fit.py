def tf_fit(x, begin, size):
    """The part of `size` of the volume, channels first, that starts at `begin`; zeros where the volume has ended."""
    for axis, (start, length) in enumerate(zip(begin, size)):
        left = min(x.shape[axis + 2] - start, length)
        x = ops.narrow(x, axis + 2, start, left)
        if left < length:
            zeros = ops.zeros(x.shape[: axis + 2] + (length - left,) + x.shape[axis + 3 :], x.dtype)
            x = ops.concat((x, zeros), axis + 2)
    return x
