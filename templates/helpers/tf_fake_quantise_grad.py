def tf_fake_quantise_grad(gradient, x, low, high, bits=8, narrow=False):
    """The gradients of tf.quantization.fake_quant_with_min_max_vars by x and by the bounds of the range."""

    def quantised(x, low, high):
        return tf_fake_quantise(x, low, high, bits, narrow)

    return ops.GradOperation(get_all=True, sens_param=True)(quantised)(x, low, high, gradient)
