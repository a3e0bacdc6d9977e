def tf_max_pool_with_argmax(x, size, strides, pad_mode, dtype, batch_in_index=False):
    """Max pooling of images, channels first, and where each maximum stood in channels-last memory."""
    pooled, place = ops.MaxPoolWithArgmax(size, strides, pad_mode)(x)
    batch, channels, height, width = x.shape
    index = place.astype(dtype) % (height * width) * channels + ops.arange(channels).astype(dtype).reshape(-1, 1, 1)
    if batch_in_index:
        index = index + ops.arange(batch).astype(dtype).reshape(-1, 1, 1, 1) * (height * width * channels)
    return pooled, index
