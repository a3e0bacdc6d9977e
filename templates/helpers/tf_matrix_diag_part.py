def tf_matrix_diag_part(x):
    """The main diagonals of matrices, as tf.linalg.diag_part."""
    rows, columns = x.shape[-2:]
    places = ops.arange(min(rows, columns)) * (columns + 1)
    return ops.gather(x.reshape(x.shape[:-2] + (rows * columns,)), places, len(x.shape) - 2)
