def tf_slice_update(x, positions, value):
    """x with the elements at `positions` replaced by `value`."""
    value = ops.broadcast_to(value, positions.shape).reshape(-1)
    places = positions.reshape(-1, 1)
    return ops.tensor_scatter_elements(x.reshape(-1), places.reshape(-1), value, 0).reshape(x.shape)
