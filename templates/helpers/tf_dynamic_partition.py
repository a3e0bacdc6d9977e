def tf_dynamic_partition(x, partitions, count):
    """The parts of x by number, as tf.dynamic_partition."""
    rows, numbers = x.reshape((-1,) + x.shape[len(partitions.shape) :]), partitions.reshape(-1)
    return tuple(ops.gather(rows, ops.nonzero(numbers == number).reshape(-1), 0) for number in range(count))
