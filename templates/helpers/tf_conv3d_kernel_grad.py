def tf_conv3d_kernel_grad(x, gradient, size, strides, dilations, pad_mode):
    """The gradient of a convolution by its kernel (depth, height, width, in, out); volumes are channels first."""
    kernel = ops.zeros((size[4], size[3], *size[:3]), x.dtype)

    def convolved(kernel):
        return ops.conv3d(x, kernel, None, strides, pad_mode, 0, dilations)

    return tf_gradient(convolved, kernel, gradient).transpose(2, 3, 4, 1, 0)
