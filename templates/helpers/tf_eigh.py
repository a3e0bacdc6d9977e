def tf_eigh(x):
    """Ascending eigenvalues and the eigenvectors of symmetric matrices, as tf.linalg.eigh."""
    x = tf_band_part(x, -1, 0)
    x = x + x.swapaxes(-1, -2) - tf_matrix_diag(tf_matrix_diag_part(x))
    bound = ops.reduce_max(ops.reduce_sum(ops.abs(x), -1), -1)
    moved = x + ops.expand_dims(ops.expand_dims(bound, -1), -1) * ops.eye(x.shape[-1], dtype=x.dtype)
    values, vectors, _ = ops.svd(moved)
    return ops.flip(values, (len(values.shape) - 1,)) - ops.expand_dims(bound, -1), ops.flip(
        vectors, (len(x.shape) - 1,)
    )
