def tf_strided(x, axis, part):
    """A slice of one axis with a step of any sign; the gradient of MindSpore's own strided slices fails on CPU."""
    return ops.gather(x, ms.Tensor(list(range(*part.indices(x.shape[axis]))), ms.int32), axis)
