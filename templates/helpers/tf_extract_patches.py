def tf_extract_patches(x, size, strides, rates, same=False):
    """The patches of images, channels last, along the channels, as tf.image.extract_patches."""
    return ops.concat(tf_windows(x, size, strides, rates, same, 0), axis=-1)
