def tf_non_max_suppression_padded(boxes, scores, count, overlap, threshold, padded=False, with_scores=False):
    """The selection, its scores and its length, as tf.image.non_max_suppression_padded and _with_scores."""
    index = tf_non_max_suppression(boxes, scores, count, overlap, threshold).asnumpy()
    left = int(count) - len(index) if padded else 0
    chosen = ms.Tensor(np.pad(scores.asnumpy()[index], (0, left)))
    valid, index = ms.Tensor(len(index), ms.int32), ms.Tensor(np.pad(index, (0, left)))
    return (index, chosen, valid) if with_scores else (index, valid)
