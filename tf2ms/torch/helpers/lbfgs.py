"""L-BFGS.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

from mindspore import mint, ops
from mindspore.experimental import optim


class LBFGS(optim.Optimizer):
    """PyTorch's LBFGS; the closure of `step` returns the loss and its gradients."""

    def __init__(
        self,
        params,
        lr=1.0,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    ):
        super().__init__(params, {"lr": lr})
        self.max_iter, self.max_eval = max_iter, max_iter * 5 // 4 if max_eval is None else max_eval
        self.tolerance_grad, self.tolerance_change = tolerance_grad, tolerance_change
        self.history_size, self.line_search = history_size, line_search_fn == "strong_wolfe"
        self.history = []  # a change of the gradient, the step that caused it, and one over their product
        self.scale = 1.0
        self.last = None  # the last gradient, direction and step length

    def flat(self, tensors):
        """Tensors as one vector."""
        return mint.cat([tensor.reshape(-1) for tensor in tensors])

    def move(self, start, length, direction):
        """Sets the parameters to a place on a line."""
        values, offset = start + length * direction, 0
        for param in self.parameters:
            ops.assign(param, values[offset : offset + param.size].reshape(param.shape))
            offset += param.size

    def direction(self, gradient):
        """The approximate inverse Hessian times the negative gradient."""
        if self.last is None:
            return -gradient
        before, direction, length = self.last
        change, moved = gradient - before, length * direction
        product = float((change * moved).sum())
        if product > 1e-10:
            self.history = [*self.history, (change, moved, 1 / product)][-self.history_size :]
            self.scale = product / float(change.square().sum())
        result, parts = -gradient, []
        for change, moved, inverse in reversed(self.history):
            parts.append(float((moved * result).sum()) * inverse)
            result = result - parts[-1] * change
        result = result * self.scale
        for (change, moved, inverse), part in zip(self.history, reversed(parts)):
            result = result + (part - float((change * result).sum()) * inverse) * moved
        return result

    def step(self, closure):
        """Up to `max_iter` iterations; returns the loss at their start."""
        first, grads = closure()
        loss, gradient, evaluations = float(first), self.flat(grads), 1
        if float(gradient.abs().max()) <= self.tolerance_grad:
            return first
        for iteration in range(1, self.max_iter + 1):
            lr = float(self.param_groups[0]["lr"])
            length = lr if self.last is not None else min(1.0, 1.0 / float(gradient.abs().sum())) * lr
            direction = self.direction(gradient)
            slope = float((gradient * direction).sum())
            before, loss_before, start = gradient, loss, self.flat(self.parameters)
            if slope > -self.tolerance_change:
                self.last = (before, direction, length)
                break
            if self.line_search:

                def evaluate(length):
                    self.move(start, length, direction)  # noqa: B023
                    value, grads = closure()
                    return float(value), self.flat(grads)

                budget = self.max_eval - evaluations
                loss, gradient, length, used = strong_wolfe(evaluate, length, direction, loss, gradient, slope, budget)
                evaluations += used
            self.move(start, length, direction)
            self.last = (before, direction, length)
            if not self.line_search and iteration < self.max_iter:
                value, grads = closure()
                loss, gradient = float(value), self.flat(grads)
                evaluations += 1
            if (
                evaluations >= self.max_eval
                or float(gradient.abs().max()) <= self.tolerance_grad
                or float((length * direction).abs().max()) <= self.tolerance_change
                or abs(loss - loss_before) < self.tolerance_change
            ):
                break
        return first


def cubic_minimum(x1, f1, g1, x2, f2, g2, bounds=None):
    """The minimum of the cubic through two points with their slopes, within bounds."""
    low, high = bounds or (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if square < 0:
        return (low + high) / 2
    d2 = square**0.5
    if x1 <= x2:
        place = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        place = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(place, low), high)


def strong_wolfe(evaluate, t, direction, f, g, slope, budget, c1=1e-4, c2=0.9, tolerance=1e-9):
    """PyTorch's line search: the loss, the gradient and the length that it ends with, and how often it evaluated."""

    def point(t):
        value, gradient = evaluate(t)
        return t, value, gradient, float((gradient * direction).sum())

    start, previous, now = (0, f, g, slope), (0, f, g, slope), point(t)
    evaluations, tries, done = 1, 0, False
    bracket = []
    while not bracket and tries < budget:
        t, value, _, along = now
        if value > f + c1 * t * slope or (tries > 1 and value >= previous[1]):
            bracket = [previous, now]
        elif abs(along) <= -c2 * slope:
            bracket, done = [now], True
        elif along >= 0:
            bracket = [previous, now]
        else:
            bounds = (t + 0.01 * (t - previous[0]), t * 10)
            t = cubic_minimum(previous[0], previous[1], previous[3], t, value, along, bounds)
            previous, now = now, point(t)
            evaluations, tries = evaluations + 1, tries + 1
    bracket = bracket or [start, now]
    low, high = (0, -1) if bracket[0][1] <= bracket[-1][1] else (-1, 0)
    largest, stuck = float(direction.abs().max()), False
    while not done and tries < budget:
        if abs(bracket[1][0] - bracket[0][0]) * largest < tolerance:
            break
        (x1, f1, _, g1), (x2, f2, _, g2) = bracket
        t, left, right = cubic_minimum(x1, f1, g1, x2, f2, g2), min(x1, x2), max(x1, x2)
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (stuck or t >= right or t <= left):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near = False
        stuck = near
        now = point(t)
        evaluations, tries = evaluations + 1, tries + 1
        if now[1] > f + c1 * t * slope or now[1] >= bracket[low][1]:
            bracket[high] = now
            low, high = (0, -1) if bracket[0][1] <= bracket[-1][1] else (-1, 0)
        else:
            if abs(now[3]) <= -c2 * slope:
                done = True
            elif now[3] * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
    t, value, gradient, _ = bracket[low]
    return value, gradient, t, evaluations
