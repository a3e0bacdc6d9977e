def tf_combined_non_max_suppression(boxes, scores, per_class, total, overlap, threshold, pad_per_class, clip):
    """Boxes, scores and classes of the best of each image and how many, as tf.image.combined_non_max_suppression."""
    images, classes = boxes.shape[0], scores.shape[2]
    size = min(int(total), int(per_class) * classes) if pad_per_class else int(total)
    result = [np.zeros((images, size, 4), np.float32), *(np.zeros((images, size), np.float32) for _ in range(2))]
    valid = np.zeros(images, np.int32)
    for image in range(images):
        found = []
        for number in range(classes):
            own, score = boxes[image, :, number if boxes.shape[2] > 1 else 0], scores[image, :, number]
            index = tf_non_max_suppression(own, score, per_class, overlap, threshold).asnumpy()
            found += [(score.asnumpy()[i], number, own.asnumpy()[i]) for i in index]
        found = sorted(found, key=lambda item: -item[0])[:size]
        valid[image] = len(found)
        for place, (score, number, box) in enumerate(found):
            result[0][image, place] = np.clip(box, 0, 1) if clip else box
            result[1][image, place], result[2][image, place] = score, number
    return tuple(ms.Tensor(array) for array in (*result, valid))
