def tf_band_part(x, lower, upper):
    """The matrices with zeros outside a band, as tf.linalg.band_part."""
    rows, columns = ops.arange(x.shape[-2]).reshape(-1, 1), ops.arange(x.shape[-1])
    below = rows - columns <= (lower if lower >= 0 else x.shape[-2])
    above = columns - rows <= (upper if upper >= 0 else x.shape[-1])
    return ops.where(ops.logical_and(below, above), x, ops.zeros_like(x))
