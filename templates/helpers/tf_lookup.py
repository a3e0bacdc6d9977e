def tf_lookup(x, keys, values, default):
    """The value of each key in a table with sorted keys, or the default, as tf.lookup.StaticHashTable."""
    place = ops.minimum(ops.searchsorted(keys, x), keys.shape[0] - 1)
    return ops.where(ops.gather(keys, place, 0) == x, ops.gather(values, place, 0), default)
