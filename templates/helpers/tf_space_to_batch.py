def tf_space_to_batch(x, block, paddings):
    """Moves blocks of the axes behind the first into the batch, as tf.space_to_batch."""
    count, rest = len(block), x.shape[1 + len(block) :]
    pads = sum((tuple(pair) for pair in reversed(paddings)), (0, 0) * len(rest))
    x = ops.pad(x, pads) if any(pads) else x
    sizes = sum(((x.shape[axis + 1] // block[axis], block[axis]) for axis in range(count)), (x.shape[0],))
    inner = tuple(range(2, 2 * count + 1, 2)), tuple(range(1, 2 * count + 1, 2))
    perm = inner[0] + (0,) + inner[1] + tuple(range(2 * count + 1, 2 * count + 1 + len(rest)))
    return ops.transpose(x.reshape(sizes + rest), perm).reshape((-1,) + sizes[1::2] + rest)
