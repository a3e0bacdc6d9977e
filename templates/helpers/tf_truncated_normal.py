def tf_truncated_normal(shape, mean, deviation, low, high):
    """Draws from a normal distribution between two bounds."""
    low, high = (0.5 * (1 + ops.erf((bound - mean) / deviation * 0.7071067811865476)) for bound in (low, high))
    draw = low + (high - low) * ops.rand(*shape)
    return mean + deviation * 1.4142135623730951 * tf_erfinv(2 * draw - 1)
