def tf_reverse_sequence(x, lengths, sequence_axis, batch_axis=0):
    """Reverses the first `lengths` elements of each sequence, as tf.reverse_sequence."""
    rank, size = len(x.shape), x.shape[sequence_axis]
    lengths = lengths.astype(ms.int32).reshape([-1 if axis == batch_axis else 1 for axis in range(rank)])
    step = ops.arange(size).astype(ms.int32).reshape([-1 if axis == sequence_axis else 1 for axis in range(rank)])
    places = ops.where(step < lengths, lengths - 1 - step, step)
    return ops.gather_elements(x, sequence_axis, ops.broadcast_to(places, x.shape))
