def tf_batch_to_space(x, block, crops):
    """Moves parts of the batch back into blocks of the axes behind it, as tf.batch_to_space."""
    count, rest = len(block), x.shape[1 + len(block) :]
    sizes = x.shape[1 : 1 + count]
    batch = x.shape[0] // int(np.prod(block))
    perm = [count] + [axis for i in range(count) for axis in (count + 1 + i, i)]
    perm += list(range(2 * count + 1, 2 * count + 1 + len(rest)))
    x = ops.transpose(x.reshape(tuple(block) + (batch,) + sizes + rest), tuple(perm))
    x = x.reshape((batch,) + tuple(size * step for size, step in zip(sizes, block)) + rest)
    return x[(slice(None),) + tuple(slice(a, x.shape[i + 1] - b) for i, (a, b) in enumerate(crops))]
