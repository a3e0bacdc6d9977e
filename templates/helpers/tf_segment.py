def tf_segment(x, ids, count, kind, limit=0, empty=None):
    """Sum, mean, product, minimum … of the rows of each segment, as tf.math.segment_sum and its kin.

    A segment without rows has `limit`, or `empty`, as its minimum or maximum; negative ids are left out.
    """
    inner = x.shape[len(ids.shape) :]
    rows, ids = x.reshape((-1,) + inner), ids.reshape(-1)
    member = ops.logical_and(ids.reshape(1, -1) == ops.arange(count).reshape(-1, 1), ids.reshape(1, -1) >= 0)
    if kind in ("sum", "mean", "sqrtn"):
        flat = rows.reshape(rows.shape[0], -1)
        total = ops.where(ops.expand_dims(member, -1), flat, ops.zeros_like(flat)).sum(1).astype(x.dtype)
        if kind != "sum":
            size = ops.maximum(member.astype(x.dtype).sum(1), 1).reshape(-1, 1)
            total = total / (size if kind == "mean" else ops.sqrt(size))
        return total.reshape((count,) + inner)
    member = member.reshape(member.shape + (1,) * len(inner))
    if kind == "prod":
        return ops.ReduceProd()(ops.where(member, rows, ops.ones_like(rows)), 1)
    picked = ops.where(member, rows, ms.Tensor(limit, x.dtype))
    result = ops.reduce_max(picked, 1) if kind == "max" else ops.reduce_min(picked, 1)
    return result if empty is None else ops.where(ops.any(member, 1), result, ms.Tensor(empty, x.dtype))
