def tf_batch_norm_grad(gradient, x, gamma, epsilon, mean=None, variance=None):
    """The gradients of batch normalisation over axis 1 by input, gamma and beta.

    Without `mean` and `variance` they are the batch's own, which the gradient then goes through.
    """
    axes, shape = (0, *range(2, len(x.shape))), (1, -1) + (1,) * (len(x.shape) - 2)
    trains = mean is None
    wide, passed = x.astype(gamma.dtype), gradient.astype(gamma.dtype)
    if trains:
        mean = ops.reduce_mean(wide, axes)
        variance = ops.reduce_mean(ops.square(wide - mean.reshape(shape)), axes)
    rate = ops.rsqrt(variance + epsilon)
    normal = (wide - mean.reshape(shape)) * rate.reshape(shape)
    by_gamma, by_beta = ops.reduce_sum(passed * normal, axes), ops.reduce_sum(passed, axes)
    if trains:
        count = x.size // x.shape[1]
        passed = passed - (by_beta.reshape(shape) + normal * by_gamma.reshape(shape)) / count
    return (passed * (gamma * rate).reshape(shape)).astype(x.dtype), by_gamma, by_beta
