def tf_quantise_dequantise(x, bits, signed=True, narrow=False, round_up=False, given=None, cut_gradient=False):
    """x on the grid of a symmetric quantised range, as tf.quantization.quantize_and_dequantize."""
    low, high = given if given is not None else (ops.stop_gradient(x).min(), ops.stop_gradient(x).max())
    inside = ops.logical_or(ops.logical_and(x >= low, x <= high), not cut_gradient)
    least = (-(2 ** (bits - 1)) + (1 if narrow else 0)) if signed else 0
    most = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    limit = ms.Tensor(np.finfo(np.float32).max, x.dtype)
    below = ops.where(least * low > 0, least / low, limit) if signed else limit
    above = ops.where(most * high > 0, most / high, limit)
    scale = ops.minimum(below, above)
    low, high = least / scale, most / scale
    clipped = ops.clamp(x, low, high) if given is not None else x
    grid = clipped * scale
    grid = (ops.floor(grid + 0.5) if round_up else ops.round(grid)) / scale
    passed = ops.where(inside, x, ops.zeros_like(x))
    return passed + ops.stop_gradient(grid - passed)
