def tf_reduced(reduce, x, axes, empty):
    """The reduction of x over axes whose length depends on the data; `empty` where there is nothing to reduce."""
    if x.size:
        return reduce(x, axes)
    kept = [size for axis, size in enumerate(x.shape) if axis not in axes]
    return ops.full(kept, empty, dtype=x.dtype)
