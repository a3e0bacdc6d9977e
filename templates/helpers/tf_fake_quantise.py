def tf_fake_quantise(x, low, high, bits=8, narrow=False):
    """x on the grid of a quantised range, as tf.quantization.fake_quant_with_min_max_vars, with its gradients."""
    first, last = (1 if narrow else 0), 2**bits - 1
    step = (high - low) / (last - first)
    origin = first - low / step
    origin = ops.stop_gradient(ops.clamp(ops.floor(origin + 0.5), first, last))
    bottom, top = ops.stop_gradient((first - origin) * step), ops.stop_gradient((last - origin) * step)
    step = ops.stop_gradient(step)
    grid = ops.floor((ops.clamp(ops.stop_gradient(x), bottom, top) - bottom) / step + 0.5) * step + bottom
    inside = ops.logical_and(x >= bottom, x <= top)
    passed = ops.where(inside, x, ops.where(x < bottom, low, high) + ops.zeros_like(x))
    return passed + ops.stop_gradient(grid - passed)
