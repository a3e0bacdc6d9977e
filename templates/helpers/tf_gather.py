def tf_gather(x, indices, axis, batch_dims):
    """Takes slices along an axis, for each element of the batch its own, as tf.gather with batch_dims."""
    batch, inner = x.shape[:batch_dims], indices.shape[batch_dims:]
    count = int(np.prod(batch))
    rows = x.reshape((count,) + x.shape[batch_dims:])
    picked = [ops.gather(rows[i], indices.reshape((count,) + inner)[i], axis - batch_dims) for i in range(count)]
    return ops.stack(picked).reshape(batch + picked[0].shape)
