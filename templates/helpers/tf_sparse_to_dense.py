def tf_sparse_to_dense(indices, values, default, shape):
    """A dense tensor with `values` at `indices` and `default` elsewhere, as tf.sparse.to_dense."""
    indices = indices.reshape(-1, len(shape))
    values = ops.broadcast_to(values, (indices.shape[0],))
    places = ops.scatter_nd(indices, ops.ones_like(values), shape)
    return ops.where(places != 0, ops.scatter_nd(indices, values, shape), ms.Tensor(default, values.dtype))
