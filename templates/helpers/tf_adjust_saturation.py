def tf_adjust_saturation(x, factor):
    """Multiplies the saturation, as tf.image.adjust_saturation."""
    hsv = tf_rgb_to_hsv(x)
    return tf_hsv_to_rgb(ops.concat((hsv[..., 0:1], ops.clamp(hsv[..., 1:2] * factor, 0, 1), hsv[..., 2:]), -1))
