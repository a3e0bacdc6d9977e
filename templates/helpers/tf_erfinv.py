def tf_erfinv(x):
    """The inverse of the error function, by Giles's polynomials: single precision up to both ends."""
    middle = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503)
    middle += (-0.00417768164, 0.246640727, 1.50140941)
    tail = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613)
    tail += (0.00943887047, 1.00167406, 2.83297682)
    inside = ops.abs(x) < 1
    safe = ops.where(inside, x, ops.zeros_like(x))
    w = -ops.log((1 - safe) * (1 + safe))
    near, far = ops.minimum(w, 5) - 2.5, ops.sqrt(ops.maximum(w, 5)) - 3
    a, b = ops.zeros_like(x), ops.zeros_like(x)
    for first, second in zip(middle, tail):
        a, b = a * near + first, b * far + second
    infinite = ops.where(x > 0, ops.full_like(x, float("inf")), ops.full_like(x, float("-inf")))
    ends = ops.where(ops.abs(x) == 1, infinite, ops.full_like(x, float("nan")))
    return ops.where(inside, ops.where(w < 5, a, b) * safe, ends)
