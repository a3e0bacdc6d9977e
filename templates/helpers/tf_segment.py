def tf_segment(x, ids, count, kind, empty=None):
    """Sum, mean, product, minimum … of the rows of each segment, as tf.math.segment_sum and its kin.

    Segments without rows have the neutral element, or `empty`; rows with a negative id are left out.
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
    limit = np.finfo if "Float" in str(x.dtype) else np.iinfo
    info = limit(ms.dtype_to_nptype(x.dtype))
    fill = ops.zeros_like(rows) + ms.Tensor(info.min if kind == "max" else info.max, x.dtype)
    picked = ops.where(member, rows, fill)
    result = ops.reduce_max(picked, 1) if kind == "max" else ops.reduce_min(picked, 1)
    return result if empty is None else ops.where(ops.any(member, 1), result, ops.zeros_like(result))
