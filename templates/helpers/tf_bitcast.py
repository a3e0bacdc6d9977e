def tf_bitcast(x, dtype):
    """The bits of x as another NumPy type, as tf.bitcast; a smaller type adds an axis, a larger one takes the last."""
    array = x.asnumpy()
    ratio = array.itemsize / np.dtype(dtype).itemsize
    shape = array.shape[:-1] if ratio < 1 else array.shape + ((int(ratio),) if ratio > 1 else ())
    return ms.Tensor(np.ascontiguousarray(array).reshape(-1).view(dtype).reshape(shape))
