def tf_dilation2d(x, kernel, strides, rates, same=False):
    """The largest sum of window and kernel at each place, channels last, as tf.nn.dilation2d."""
    patches = tf_windows(x, kernel.shape[:2], strides, rates, same, float("-inf"))
    weights = kernel.reshape(-1, kernel.shape[2])
    total = patches[0] + weights[0]
    for patch, weight in zip(patches[1:], weights[1:]):
        total = ops.maximum(total, patch + weight)
    return total
