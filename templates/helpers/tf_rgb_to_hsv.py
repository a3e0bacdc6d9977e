def tf_rgb_to_hsv(x):
    """Hue, saturation and value of images, channels last, as tf.image.rgb_to_hsv."""
    r, g, b = x[..., 0], x[..., 1], x[..., 2]
    value = ops.maximum(ops.maximum(r, g), b)
    span = value - ops.minimum(ops.minimum(r, g), b)
    safe = ops.where(span > 0, span, ops.ones_like(span))
    norm = 1 / (6 * safe)
    blue = norm * (r - g) + 4 / 6
    hue = ops.where(r == value, norm * (g - b), ops.where(g == value, norm * (b - r) + 2 / 6, blue))
    hue = ops.where(span > 0, hue, ops.zeros_like(hue))
    hue = ops.where(hue < 0, hue + 1, hue)
    saturation = ops.where(value > 0, span / ops.where(value > 0, value, ops.ones_like(value)), ops.zeros_like(value))
    return ops.stack((hue, saturation, value), axis=-1)
