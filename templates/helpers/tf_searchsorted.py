def tf_searchsorted(boundaries, x, right=False):
    """Where each x belongs among the ascending boundaries, row by row, as tf.searchsorted."""
    if not boundaries.size:
        return ops.zeros(x.shape, ms.int32)
    x, boundaries = ops.expand_dims(x, -1), ops.expand_dims(boundaries, -2)
    return (boundaries <= x if right else boundaries < x).astype(ms.int32).sum(-1).astype(ms.int32)
