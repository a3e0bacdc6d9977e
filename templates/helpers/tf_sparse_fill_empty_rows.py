def tf_sparse_fill_empty_rows(places, values, rows, default):
    """A sparse tensor with `default` first in each row that had nothing, as tf.sparse.fill_empty_rows.

    Gives its places and values, which rows were empty, and where each value went.
    """
    filled = places[:, 0].asnumpy()
    empty = np.bincount(filled, minlength=rows)[:rows] == 0
    added = np.zeros((int(empty.sum()), places.shape[1]), np.int64)
    added[:, 0] = np.flatnonzero(empty)
    order = np.argsort(np.concatenate([filled, added[:, 0]]), kind="stable")
    where = np.argsort(order)[: len(filled)]
    places = np.concatenate([places.asnumpy(), added])[order]
    if len(added):
        values = ops.concat((values, ops.ones(len(added), values.dtype) * default))
    return ms.Tensor(places), ops.gather(values, ms.Tensor(order), 0), ms.Tensor(empty), ms.Tensor(where)
