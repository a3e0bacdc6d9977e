def tf_ragged_to_tensor(values, splits, default, width=-1):
    """Rows of several lengths as a tensor, filled up with the default or cut to `width`."""
    splits = splits.asnumpy()
    width = int(np.diff(splits).max(initial=0)) if width < 0 else width
    places = splits[:-1, None] + np.arange(width)
    inside = places < splits[1:, None]
    inner = values.shape[1:]
    if not values.shape[0] or not width:
        return ops.zeros((len(splits) - 1, width) + inner, values.dtype) + default
    found = ops.gather(values, ms.Tensor(np.where(inside, places, 0), ms.int32), 0)
    return ops.where(ms.Tensor(inside.reshape(inside.shape + (1,) * len(inner))), found, default)
