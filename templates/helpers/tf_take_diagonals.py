def tf_take_diagonals(x, low, high, padding=0, align="RIGHT_LEFT"):
    """Several diagonals of matrices, one a row, as tf.linalg.diag_part."""
    rows, columns = x.shape[-2:]
    places = tf_diagonal_places(rows, columns, low, high, align)
    places = places[0] if low == high else places
    flat = x.reshape(x.shape[:-2] + (rows * columns,))
    found = ops.gather(flat, ms.Tensor(np.maximum(places, 0), ms.int32), len(x.shape) - 2)
    return ops.where(ms.Tensor(places >= 0), found, ms.Tensor(padding, x.dtype))
