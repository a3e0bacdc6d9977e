def tf_random_gamma(shape, alpha, tries=12):
    """Draws from gamma distributions, `shape` of them for each alpha: Marsaglia and Tsang (2000).

    Each try accepts more than 95 draws of 100; of `tries` independent ones the first accepted counts.
    """
    size = tuple(shape) + alpha.shape
    wide = alpha.astype(ms.float32)
    d = ops.where(wide < 1, wide + 1, wide) - 1 / 3
    normal, uniform = ops.standard_normal((tries,) + size), ops.rand(*((tries,) + size))
    v = (1 + normal / ops.sqrt(9 * d)) ** 3
    safe = ops.maximum(v, 1e-30)
    accepted = ops.logical_and(v > 0, ops.log(uniform) < 0.5 * normal * normal + d - d * safe + d * ops.log(safe))
    first = accepted.astype(ms.int32).argmax(0)
    draw = d * ops.gather_elements(safe, 0, ops.expand_dims(first, 0))[0]
    boost = ops.where(wide < 1, ops.rand(*size) ** (1 / wide), ops.ones_like(draw))
    return (draw * boost).astype(alpha.dtype)
