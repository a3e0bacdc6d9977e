def tf_hsv_to_rgb(x):
    """Red, green and blue of images in hue, saturation and value, channels last, as tf.image.hsv_to_rgb."""
    hue, saturation, value = x[..., 0:1], x[..., 1:2], x[..., 2:3]
    offset = ms.Tensor([3.0, 2.0, 4.0], x.dtype)
    sign = ms.Tensor([1.0, -1.0, -1.0], x.dtype)
    shade = ops.abs(hue * 6 - offset) * sign + ms.Tensor([-1.0, 2.0, 2.0], x.dtype)
    return ((ops.clamp(shade, 0, 1) - 1) * saturation + 1) * value
