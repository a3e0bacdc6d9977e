def tf_projective_transform(x, transforms, size, fill, nearest=True, edge=False):
    """Reads each pixel of the result where the transform says, as tf.raw_ops.ImageProjectiveTransformV3."""
    batch, height, width, channels = x.shape
    t = ops.broadcast_to(transforms, (batch, 8)).reshape(batch, 8, 1, 1)
    column, row = ops.arange(size[1]).astype(ms.float32), ops.arange(size[0]).astype(ms.float32).reshape(-1, 1)
    below = t[:, 6] * column + t[:, 7] * row + 1
    across, down = (
        (t[:, 0] * column + t[:, 1] * row + t[:, 2]) / below,
        (t[:, 3] * column + t[:, 4] * row + t[:, 5]) / below,
    )
    flat = x.reshape(batch * height * width, channels)
    first = (ops.arange(batch) * (height * width)).reshape(batch, 1, 1)
    if edge:
        across, down = ops.clamp(across, 0, width - 1), ops.clamp(down, 0, height - 1)

    def read(y, z):
        inside = ops.logical_and(ops.logical_and(y >= 0, y < height), ops.logical_and(z >= 0, z < width))
        place = ops.clamp(y, 0, height - 1).astype(ms.int64) * width + ops.clamp(z, 0, width - 1).astype(ms.int64)
        pixels = ops.gather(flat, (first + place).reshape(-1), 0).reshape(batch, size[0], size[1], channels)
        return ops.where(ops.expand_dims(inside, -1), pixels, ops.zeros_like(pixels) + fill)

    if nearest:
        y, z = (ops.sign(place) * ops.floor(ops.abs(place) + 0.5) for place in (down, across))  # halves away from 0
        return read(y, z)
    y, z = ops.floor(down), ops.floor(across)
    dy, dz = ops.expand_dims(down - y, -1), ops.expand_dims(across - z, -1)
    upper = (1 - dz) * read(y, z) + dz * read(y, z + 1)
    return (1 - dy) * upper + dy * ((1 - dz) * read(y + 1, z) + dz * read(y + 1, z + 1))
