def tf_cholesky(x):
    """The Cholesky factors of matrices, as tf.linalg.cholesky.

    ops.cholesky has no gradient on CPU: the second term is zero, and brings it.
    """
    factor = ops.stop_gradient(ops.cholesky(x))
    inverse = ops.inverse(factor) if x.shape[-1] > 1 else 1 / factor
    change = (x + x.swapaxes(-1, -2)) / 2
    change = ops.matmul(ops.matmul(inverse, change - ops.stop_gradient(change)), inverse.swapaxes(-1, -2))
    lower = tf_band_part(change, -1, 0) - tf_matrix_diag(tf_matrix_diag_part(change)) / 2
    return factor + ops.matmul(factor, lower)
