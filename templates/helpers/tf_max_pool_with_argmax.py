def tf_max_pool_with_argmax(x, size, strides, pad_mode, dtype, batch_in_index=False):
    """Max pooling of images, channels first, and where each maximum stood in channels-last memory.

    SAME is padded here: the kernel's own is wrong on CPU for some sizes.
    """
    batch, channels, height, width = x.shape
    total = [0, 0]
    if pad_mode == "same":
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip((height, width), strides, size)]
    top, left = total[0] // 2, total[1] // 2
    if any(total):
        x = ops.pad(x, (left, total[1] - left, top, total[0] - top), value=float("-inf"))
    pooled, place = ops.MaxPoolWithArgmax(size, strides, "valid")(x)
    place, wide = place.astype(dtype) % (x.shape[2] * x.shape[3]), x.shape[3]
    place = (place // wide - top) * width + place % wide - left
    index = place * channels + ops.arange(channels).astype(dtype).reshape(-1, 1, 1)
    if batch_in_index:
        index = index + ops.arange(batch).astype(dtype).reshape(-1, 1, 1, 1) * (height * width * channels)
    return pooled, index
