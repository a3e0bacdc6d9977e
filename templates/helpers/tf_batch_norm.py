def tf_batch_norm(x, gamma, beta, epsilon, mean=None, variance=None, outputs=1):
    """Batch normalisation over axis 1, by the batch's own statistics where none are given.

    Returns the result alone, or as tf.nn.fused_batch_norm does with the statistics behind it.
    """
    axes, shape = (0, *range(2, len(x.shape))), (1, -1) + (1,) * (len(x.shape) - 2)
    wide, total = x.astype(gamma.dtype), variance
    if mean is None:
        mean = ops.reduce_mean(wide, axes)
        variance = ops.reduce_mean(ops.square(wide - mean.reshape(shape)), axes)
        count = x.size // x.shape[1]
        total = variance * (count / max(count - 1, 1))
    scale = gamma * ops.rsqrt(variance + epsilon)
    result = ((wide - mean.reshape(shape)) * scale.reshape(shape) + beta.reshape(shape)).astype(x.dtype)
    return result if outputs == 1 else (result, mean, total, mean, variance, variance)[:outputs]
