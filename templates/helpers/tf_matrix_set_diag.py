def tf_matrix_set_diag(x, diagonal):
    """The matrices with another main diagonal, as tf.linalg.set_diag."""
    rows, columns = ops.arange(x.shape[-2]).reshape(-1, 1), ops.arange(x.shape[-1])
    count = diagonal.shape[-1]
    spread = ops.gather(diagonal, ops.minimum(columns, count - 1), len(diagonal.shape) - 1)
    return ops.where(rows == columns, ops.expand_dims(spread, -2), x)
