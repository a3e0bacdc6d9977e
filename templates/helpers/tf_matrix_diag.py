def tf_matrix_diag(x):
    """Matrices with the last axis of x on their diagonal, as tf.linalg.diag."""
    size = ops.arange(x.shape[-1])
    on = size.reshape(-1, 1) == size
    return ops.where(on, ops.expand_dims(x, -2), ops.zeros_like(ops.expand_dims(x, -2)))
