def tf_crop_and_resize(x, boxes, box_indices, size, method, extrapolation_value):
    """Boxes cut out of images and resized, as tf.image.crop_and_resize; there may be no box."""
    if boxes.shape[0]:
        return ops.CropAndResize(method, extrapolation_value)(x, boxes, box_indices, size)
    return ops.zeros((0, *size, x.shape[3]), ms.float32)
