def tf_top_k(x, k, wide=None):
    """The k largest of each row and where they stand, of equal values the first, as tf.math.top_k.

    Types without a sort are compared as `wide`.
    """
    index = ops.sort(x if wide is None else x.astype(wide), -1, True)[1][..., :k]
    return ops.gather_elements(x, len(x.shape) - 1, index), index
