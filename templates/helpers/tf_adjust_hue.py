def tf_adjust_hue(x, delta):
    """Turns the hue by a part of the circle, as tf.image.adjust_hue."""
    hsv = tf_rgb_to_hsv(x)
    hue = hsv[..., 0:1] + delta
    return tf_hsv_to_rgb(ops.concat((hue - ops.floor(hue), hsv[..., 1:]), -1))
