def tf_lookup(x, keys, values, default):
    """The value of each key in a table with sorted keys, or the default, as tf.lookup.StaticHashTable.

    The keys not above x are counted: ops.searchsorted may keep `right` from another call on CPU.
    """
    place = ops.maximum((keys <= ops.expand_dims(x, -1)).astype(ms.int32).sum(-1) - 1, 0)
    return ops.where(ops.gather(keys, place, 0) == x, ops.gather(values, place, 0), default)
