def tf_adjust_contrast(x, factor):
    """Moves each channel of each image away from its mean, as tf.image.adjust_contrast."""
    rank = len(x.shape)
    mean = ops.ReduceMean(keep_dims=True)(x, (rank - 3, rank - 2))
    return (x - mean) * factor + mean
