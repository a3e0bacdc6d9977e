def tf_batch_to_space(x, block, crops):
    """Moves parts of the batch back into blocks of the axes behind it, as tf.batch_to_space."""
    count, batch = len(block), x.shape[0]
    perm, sizes, parts = (count,), (), (slice(None),)
    for axis in range(count):
        batch = batch // block[axis]
        perm, sizes = perm + (count + 1 + axis, axis), sizes + (x.shape[axis + 1] * block[axis],)
        parts = parts + (slice(crops[axis][0], sizes[axis] - crops[axis][1]),)
    rest, perm = x.shape[1 + count :], perm + tuple(range(2 * count + 1, count + len(x.shape)))
    x = ops.transpose(x.reshape(tuple(block) + (batch,) + x.shape[1:]), perm)
    return x.reshape((batch,) + sizes + rest)[parts]
