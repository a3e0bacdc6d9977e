def tf_least_squares(a, b, regularizer):
    """The x of least |a x - b|^2 + regularizer |x|^2, as tf.linalg.lstsq."""
    across = a.swapaxes(-1, -2)
    square = ops.matmul(across, a) + regularizer.astype(a.dtype) * ops.eye(a.shape[-1], dtype=a.dtype)
    inverse = ops.inverse(square) if a.shape[-1] > 1 else 1 / square
    return ops.matmul(inverse, ops.matmul(across, b))
