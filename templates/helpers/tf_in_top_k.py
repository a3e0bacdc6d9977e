def tf_in_top_k(predictions, targets, k):
    """Whether fewer than k predictions are above the target's, as tf.math.in_top_k."""
    classes = predictions.shape[1]
    valid = ops.logical_and(targets >= 0, targets < classes)
    places = ops.where(valid, targets, ops.zeros_like(targets)).astype(ms.int32).reshape(-1, 1)
    own = ops.gather_elements(predictions, 1, places)
    above = (predictions > own).astype(ms.int32).sum(1)
    finite = ops.isfinite(predictions).astype(ms.int32).sum(1) == classes
    return ops.logical_and(ops.logical_and(valid, finite), above < k)
