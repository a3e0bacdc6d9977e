def tf_histogram_fixed_width(values, value_range, bins):
    """Counts in `bins` equal parts of the range, as tf.histogram_fixed_width."""
    low, high = value_range[0], value_range[1]
    place = ops.floor((values - low) / (high - low) * bins)
    return tf_bincount(ops.clamp(place, 0, bins - 1).astype(ms.int32), bins, dtype=ms.int32)
