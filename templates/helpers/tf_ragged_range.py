def tf_ragged_range(starts, limits, deltas, dtype):
    """The splits and values of ranges of several lengths, as tf.ragged.range."""
    bounds = np.broadcast_arrays(*(bound.asnumpy() for bound in (starts, limits, deltas)))
    rows = [np.arange(*bound) for bound in zip(*(np.atleast_1d(bound) for bound in bounds))]
    splits = np.cumsum([0, *map(len, rows)])
    values = np.concatenate(rows) if rows else np.zeros(0)
    return ms.Tensor(splits.astype(dtype)), ms.Tensor(values.astype(bounds[0].dtype))
