def tf_depthwise_input_grad(gradient, kernel, size, strides, dilations, pads):
    """The gradient of a depthwise convolution by its input of `size`; images are channels first.

    The output's gradient is spread out by the strides and convolved with the kernel turned round.
    """
    height, width, channels = kernel.shape[:3]
    spans = [(height - 1) * dilations[0] + 1, (width - 1) * dilations[1] + 1]
    if pads == "same":
        total = [max((g - 1) * s + k - n, 0) for g, s, k, n in zip(gradient.shape[2:], strides, spans, size)]
        pads = [(t // 2, t - t // 2) for t in total]
    pads = ((0, 0), (0, 0)) if pads == "valid" else pads
    for axis in (2, 3):
        step, count = strides[axis - 2], gradient.shape[axis]
        spread = np.zeros((count, (count - 1) * step + 1), np.float32)
        spread[np.arange(count), np.arange(count) * step] = 1
        matrix = ms.Tensor(spread, gradient.dtype)
        gradient = ops.swapaxes(ops.matmul(ops.swapaxes(gradient, axis, -1), matrix), axis, -1)
    before = [k - 1 - pads[i][0] for i, k in enumerate(spans)]
    after = [n + k - 1 - b - g for n, k, b, g in zip(size, spans, before, gradient.shape[2:])]
    gradient = ops.pad(gradient, (before[1], after[1], before[0], after[0]))
    turned = ops.flip(kernel, (0, 1)).transpose(2, 3, 0, 1)
    return ops.conv2d(gradient, turned, None, 1, "valid", 0, dilations, channels)
