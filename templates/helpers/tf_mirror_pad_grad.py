def tf_mirror_pad_grad(gradient, paddings, symmetric=False):
    """The gradient of tf.pad in mode SYMMETRIC or REFLECT: each element collects from its mirror images."""
    for axis, (before, after) in enumerate(paddings):
        size, edge = gradient.shape[axis] - before - after, 0 if symmetric else 1
        front = list(range(before - 1 + edge, edge - 1, -1))
        back = list(range(size - 1 - edge, size - 1 - edge - after, -1))
        source = np.array(front + list(range(size)) + back)
        matrix = ms.Tensor((source[:, None] == np.arange(size)).astype(np.float32), gradient.dtype)
        gradient = ops.swapaxes(ops.matmul(ops.swapaxes(gradient, axis, -1), matrix), axis, -1)
    return gradient
