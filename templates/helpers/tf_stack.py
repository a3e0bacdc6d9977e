def tf_stack(items):
    """A tensor of the list's items; those that were never set are zeros, as in tf.TensorArray."""
    known = [item for item in items if item is not None]
    return ops.stack([ops.zeros_like(known[0]) if item is None else item for item in items])
