def tf_sum_to(x, shape):
    """The sum of x over the axes along which a tensor of that shape was broadcast to x's."""
    extra = len(x.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1 != x.shape[extra + i])
    return (ops.reduce_sum(x, axes) if axes else x).reshape(shape)
