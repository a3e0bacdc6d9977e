def tf_scale_and_translate(x, size, scale, translation, kernel, antialias, back=False):
    """Images, channels last, in another size by a kernel, as tf.image.resize with antialias; `back` is its gradient."""
    for axis, target in zip((1, 2), size):
        sizes = (target, x.shape[axis]) if back else (x.shape[axis], target)
        weights = tf_sampling_weights(*sizes, scale[axis - 1], translation[axis - 1], kernel, antialias)
        x = ops.swapaxes(ops.matmul(weights.T if back else weights, ops.swapaxes(x, axis, -2)), axis, -2)
    return x
