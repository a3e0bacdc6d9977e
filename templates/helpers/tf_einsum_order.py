def tf_einsum_order(x, labels, groups, sizes):
    """A factor of an einsum with the axes of each group joined into one."""
    order = groups[0] + groups[1] + groups[2]
    if len(order) > 1:
        x = ops.transpose(x, tuple([labels.index(label) for label in order]))
    if order:
        x = ops.broadcast_to(x, tuple([sizes[label] for label in order]))
    joined = []
    for group in groups:
        size = 1
        for label in group:
            size = size * sizes[label]
        joined.append(size)
    return x.reshape(tuple(joined))
