def tf_unique(x, index_dtype, axis=0, counts=False):
    """The different values in the order of their first occurrence, and where each element went, as tf.unique."""
    _, first, index, sizes = np.unique(x.asnumpy(), True, True, True, axis, equal_nan=False)
    order = np.argsort(first)  # np.unique has them in ascending order
    values = ops.gather(x, ms.Tensor(first[order].astype(np.int32)), axis) if x.size else x
    index = ms.Tensor(np.argsort(order)[index.reshape(-1)]).astype(index_dtype)
    return (values, index, ms.Tensor(sizes[order]).astype(index_dtype)) if counts else (values, index)
