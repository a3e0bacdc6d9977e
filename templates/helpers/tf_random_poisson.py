def tf_random_poisson(shape, rate, most=200):
    """Draws from Poisson distributions, `shape` of them for each rate: events until their waiting times pass 1."""
    times = -ops.log(1 - ops.rand(*((most,) + tuple(shape) + rate.shape))) / rate.astype(ms.float32)
    return ops.reduce_sum((ops.cumsum(times, 0) < 1).astype(ms.float32), 0)
