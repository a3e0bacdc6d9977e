def tf_roll(x, shifts, axes):
    """Moves the elements along each axis, around its end, as tf.roll."""
    for shift, axis in zip(shifts, axes):
        size = x.shape[axis]
        x = ops.gather(x, (ops.arange(size) - shift) % size, axis)
    return x
