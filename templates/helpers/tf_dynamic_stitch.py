def tf_dynamic_stitch(indices, data):
    """Puts rows of several tensors in their places, as tf.dynamic_stitch."""
    shape = data[0].shape[len(indices[0].shape) :]
    places = ops.concat([index.reshape(-1) for index in indices])
    rows = ops.concat([part.reshape((-1,) + shape) for part in data])
    size = int(places.max()) + 1
    order = ops.arange(places.size)
    last = ops.reduce_max(ops.where(places.reshape(1, -1) == ops.arange(size).reshape(-1, 1), order, -1), 1)
    picked = ops.gather(rows, ops.maximum(last, 0), 0)
    return ops.where((last >= 0).reshape((-1,) + (1,) * len(shape)), picked, ops.zeros_like(picked))
