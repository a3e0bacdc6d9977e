def tf_pad(x, pairs, value=0):
    """x with so many numbers before and after it along each axis, all of them `value`, as tf.pad."""
    for axis, pair in enumerate(pairs):
        shapes = [(*x.shape[:axis], int(count), *x.shape[axis + 1 :]) for count in pair]
        before, after = (ops.zeros(shape, x.dtype) + value for shape in shapes)
        x = ops.concat((before, x, after), axis)
    return x
