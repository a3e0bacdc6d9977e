def tf_conv2d_kernel_grad(x, gradient, size, strides, dilations, pads, depthwise=False):
    """The gradient of a convolution by its kernel (height, width, in, out): x convolved with the output's gradient.

    Images are channels first. Batch and channels change places, strides and dilations too.
    """
    height, width = size[:2]
    spans = [(size[i] - 1) * dilations[i] + 1 for i in (0, 1)]
    if pads == "same":
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(x.shape[2:], strides, spans)]
        pads = [(t // 2, t - t // 2) for t in total]
    if pads != "valid":
        x = ops.pad(x, (*pads[1], *pads[0]))
    groups = size[2] if depthwise else 1
    batch, rows, columns = x.shape[0], *x.shape[2:]
    x = x.reshape(batch, groups, -1, rows, columns).transpose(2, 1, 0, 3, 4).reshape(-1, groups * batch, rows, columns)
    found = ops.conv2d(x, gradient.swapaxes(0, 1), None, dilations, "valid", 0, strides, groups)
    return found[..., :height, :width].transpose(2, 3, 0, 1).reshape(size)
