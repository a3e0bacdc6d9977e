def tf_unique(x, index_dtype, counts=False):
    """The different values in the order of their first occurrence, and where each element went, as tf.unique."""
    same = x.reshape(-1, 1) == x.reshape(1, -1)
    first = same.astype(ms.int32).argmax(1)
    places = ops.nonzero(first == ops.arange(x.size)).reshape(-1)
    values = ops.gather(x, places, 0)
    found = values.reshape(1, -1) == x.reshape(-1, 1)
    index = found.astype(ms.int32).argmax(1).astype(index_dtype)
    if counts:
        return values, index, found.astype(ms.int32).sum(0).astype(index_dtype)
    return values, index
