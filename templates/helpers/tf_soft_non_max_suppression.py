def tf_soft_non_max_suppression(boxes, scores, count, threshold, sigma, padded=False):
    """The selection, its lowered scores and its length, as tf.image.non_max_suppression_with_scores.

    What overlaps a better box is not dropped but scored lower.
    """
    boxes, scores = boxes.asnumpy().astype(np.float32), scores.asnumpy()
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    area = np.prod(high - low, axis=1)
    waiting = {i: (score, 0) for i, score in enumerate(scores) if score > float(threshold)}
    kept, chosen = [], []
    while waiting and len(kept) < int(count):
        index = max(waiting, key=lambda i: (waiting[i][0], -i))
        score, seen = waiting.pop(index)
        before = score
        for other in reversed(kept[seen:]):
            side = np.minimum(high[index], high[other]) - np.maximum(low[index], low[other])
            common = np.prod(np.maximum(side, 0))
            union = area[index] + area[other] - common
            share = common / union if min(area[index], area[other]) > 0 else np.float32(0)
            score = score * np.exp(np.float32(-0.5 / float(sigma)) * share * share)
            if score <= float(threshold):
                break
        if score == before:
            kept.append(index)
            chosen.append(score)
        elif score > float(threshold):
            waiting[index] = (score, len(kept))
    left = int(count) - len(kept) if padded else 0
    index, chosen = np.array(kept, np.int32), np.array(chosen, scores.dtype)
    return ms.Tensor(np.pad(index, (0, left))), ms.Tensor(np.pad(chosen, (0, left))), ms.Tensor(len(kept), ms.int32)
