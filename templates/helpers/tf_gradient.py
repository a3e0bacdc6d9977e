def tf_gradient(function, x, gradient):
    """The gradient at x of a function whose result has that gradient."""
    return ops.GradOperation(sens_param=True)(function)(x, gradient)
