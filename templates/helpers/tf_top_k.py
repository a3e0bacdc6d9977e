def tf_top_k(x, k):
    """The k largest of each row and where they stand, of equal values the first, as tf.math.top_k."""
    index = ops.sort(x, -1, True)[1][..., :k]
    return ops.gather_elements(x, len(x.shape) - 1, index), index
