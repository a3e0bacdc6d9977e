def tf_sparse_reshape(indices, shape, new_shape):
    """The indices of a sparse tensor in its new shape, and that shape, as tf.sparse.reshape."""
    shape = [int(size) for size in shape.asnumpy()]
    left = int(np.prod(shape)) // max(1, -int(np.prod(new_shape)))
    new_shape = [left if size == -1 else size for size in new_shape]
    number = sum(indices[:, axis] * int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    strides = [int(np.prod(new_shape[axis + 1 :])) for axis in range(len(new_shape))]
    places = [number // stride % size for stride, size in zip(strides, new_shape)]
    return ops.stack(places, axis=1), ms.Tensor(new_shape, ms.int64)
