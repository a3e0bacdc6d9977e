def tf_cumulative_logsumexp(x, axis, exclusive=False, reverse=False):
    """The logarithm of the running sum of exponentials, as tf.math.cumulative_logsumexp."""
    size = x.shape[axis]
    step, place = ops.arange(size), ops.arange(size).reshape(-1, 1)
    near = (
        (step < place if exclusive else step <= place)
        if not reverse
        else (step > place if exclusive else step >= place)
    )
    moved = ops.expand_dims(ops.swapaxes(x, axis, -1), -2)
    terms = ops.where(near, moved, ms.Tensor(float("-inf"), x.dtype))
    largest = ops.stop_gradient(ops.reduce_max(terms, -1))
    largest = ops.where(ops.isfinite(largest), largest, ops.zeros_like(largest))
    total = ops.reduce_sum(ops.exp(terms - ops.expand_dims(largest, -1)), -1)
    return ops.swapaxes(ops.log(total) + largest, axis, -1)
