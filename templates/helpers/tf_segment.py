def tf_segment(x, ids, kind, count=None, empty=None):
    """Sum, mean, product, minimum … of the rows of each segment, as tf.math.segment_sum and its kin.

    Without `count` there are as many segments as the last id says. One without rows has `empty` as its minimum or
    maximum, or the type's limit. Negative ids are left out.
    """
    inner = x.shape[len(ids.shape) :]
    rows, ids = x.reshape((-1 if x.size else ids.size,) + inner), ids.reshape(-1)
    if count is None:
        count = int(ids[-1]) + 1 if ids.size else 0
    if 0 in rows.shape or count == 0:  # MindSpore's kernels refuse these
        limit = getattr(np, "finfo" if x.is_floating_point() else "iinfo")(str(x.dtype).lower())
        fill = {"prod": 1, "max": limit.min, "min": limit.max}.get(kind, 0)
        return ops.full((count,) + inner, fill if empty is None else empty, dtype=x.dtype)
    if kind in ("prod", "max", "min"):
        reduce = {"prod": ops.unsorted_segment_prod, "max": ops.unsorted_segment_max, "min": ops.unsorted_segment_min}
        result = reduce[kind](rows, ids, count)
    else:
        result = ops.unsorted_segment_sum(rows, ids, count)
    if empty is None and kind not in ("mean", "sqrtn"):
        return result
    size = ops.unsorted_segment_sum(ops.ones(ids.shape, ms.int32), ids, count).reshape((-1,) + (1,) * len(inner))
    if empty is not None:
        return ops.where(size > 0, result, ms.Tensor(empty, x.dtype))
    size = ops.maximum(size, 1).astype(x.dtype)
    if kind == "sqrtn":
        return result / ops.sqrt(size)
    return result / size if x.is_floating_point() else ops.truncate_div(result, size)
