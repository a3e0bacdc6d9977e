def tf_xlog1py(x, y):
    """x * log(1 + y), and 0 where x is 0, as tf.math.xlog1py."""
    zero = x == 0
    return ops.where(zero, ops.zeros_like(x * y), x * ops.log1p(ops.where(zero, ops.zeros_like(y), y)))
