def tf_xlogy(x, y):
    """x * log(y), and 0 where x is 0, as tf.math.xlogy."""
    zero = x == 0
    return ops.where(zero, ops.zeros_like(x * y), x * ops.log(ops.where(zero, ops.ones_like(y), y)))
