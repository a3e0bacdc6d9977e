def tf_put_diagonals(x, diagonals, low, high, align="RIGHT_LEFT"):
    """The matrices x with other numbers on several diagonals, as tf.linalg.set_diag."""
    rows, columns = x.shape[-2:]
    places = tf_diagonal_places(rows, columns, low, high, align).reshape(-1)
    sources = np.full(rows * columns, -1)
    sources[places[places >= 0]] = np.flatnonzero(places >= 0)
    outer = x.shape[:-2]
    flat = diagonals.reshape(outer + (places.size,))
    found = ops.gather(flat, ms.Tensor(np.maximum(sources, 0), ms.int32), len(outer)).reshape(x.shape)
    return ops.where(ms.Tensor((sources >= 0).reshape(rows, columns)), found, x)
