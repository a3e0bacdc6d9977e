def tf_slice(x, begin, size):
    """The part of x that begins at `begin`, -1 in `size` to the end, as tf.slice."""
    for axis, (start, length) in enumerate(zip(begin, size)):
        x = ops.narrow(x, axis, start, x.shape[axis] - start if length == -1 else length)
    return x
