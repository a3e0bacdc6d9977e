def tf_dynamic_partition(x, partitions, count):
    """The parts of x by number, as tf.dynamic_partition."""
    rows, numbers = (
        x.reshape((-1 if x.size else partitions.size,) + x.shape[len(partitions.shape) :]),
        partitions.reshape(-1),
    )
    return tuple(ops.gather_nd(rows, ops.nonzero(numbers == number)) for number in range(count))
