"""Optimizers.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import mindspore as ms
from mindspore import mint, ops
from mindspore.experimental import optim


def decayed(group, param, gradient):
    """The gradient with PyTorch's weight decay; a decoupled one shrinks the parameter itself."""
    gradient = -gradient if group["maximize"] else gradient
    if group["decoupled_weight_decay"]:
        ops.assign(param, param * (1 - float(group["lr"]) * group["weight_decay"]))
        return gradient
    return gradient + group["weight_decay"] * param if group["weight_decay"] else gradient


class NAdam(optim.Optimizer):
    """PyTorch's NAdam."""

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        momentum_decay=4e-3,
        decoupled_weight_decay=False,
        maximize=False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)
        self.exp_avg = self.parameters.clone(prefix="exp_avg", init="zeros")
        self.exp_avg_sq = self.parameters.clone(prefix="exp_avg_sq", init="zeros")
        self.mu_product = self.parameters.clone(prefix="mu_product", init="ones")
        self.state_step = ms.Parameter(ms.Tensor(0, ms.int32), name="state_step")

    def construct(self, gradients):
        """One step."""
        ops.assign_add(self.state_step, ms.Tensor(1, ms.int32))
        step = int(self.state_step)
        for start, group in zip(self.group_start_id, self.param_groups):
            lr, (beta1, beta2), decay = float(group["lr"]), group["betas"], group["momentum_decay"]
            mu = beta1 * (1 - 0.5 * 0.96 ** (step * decay))
            mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * decay))
            for i, param in enumerate(group["params"], start):
                gradient = decayed(group, param, gradients[i])
                product = self.mu_product[i] * mu
                ops.assign(self.mu_product[i], product)
                ops.assign(self.exp_avg[i], beta1 * self.exp_avg[i] + (1 - beta1) * gradient)
                ops.assign(self.exp_avg_sq[i], beta2 * self.exp_avg_sq[i] + (1 - beta2) * gradient.square())
                denominator = (self.exp_avg_sq[i] / (1 - beta2**step)).sqrt() + group["eps"]
                change = (1 - mu) / (1 - product) * gradient + mu_next / (1 - product * mu_next) * self.exp_avg[i]
                ops.assign(param, param - lr * change / denominator)
        return True


class RAdam(optim.Optimizer):
    """PyTorch's RAdam."""

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        decoupled_weight_decay=False,
        maximize=False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)
        self.exp_avg = self.parameters.clone(prefix="exp_avg", init="zeros")
        self.exp_avg_sq = self.parameters.clone(prefix="exp_avg_sq", init="zeros")
        self.state_step = ms.Parameter(ms.Tensor(0, ms.int32), name="state_step")

    def construct(self, gradients):
        """One step."""
        ops.assign_add(self.state_step, ms.Tensor(1, ms.int32))
        step = int(self.state_step)
        for start, group in zip(self.group_start_id, self.param_groups):
            lr, (beta1, beta2) = float(group["lr"]), group["betas"]
            correction = 1 - beta2**step
            longest = 2 / (1 - beta2) - 1
            length = longest - 2 * step * beta2**step / correction
            for i, param in enumerate(group["params"], start):
                gradient = decayed(group, param, gradients[i])
                ops.assign(self.exp_avg[i], beta1 * self.exp_avg[i] + (1 - beta1) * gradient)
                ops.assign(self.exp_avg_sq[i], beta2 * self.exp_avg_sq[i] + (1 - beta2) * gradient.square())
                change = self.exp_avg[i] / (1 - beta1**step)
                if length > 5:
                    numerator = (length - 4) * (length - 2) * longest
                    rectification = (numerator / ((longest - 4) * (longest - 2) * length)) ** 0.5
                    change = change * rectification * correction**0.5 / (self.exp_avg_sq[i].sqrt() + group["eps"])
                ops.assign(param, param - lr * change)
        return True


class SparseAdam(optim.Optimizer):
    """PyTorch's SparseAdam: rows of a table whose gradient is zero stay, and so do their moments."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        self.exp_avg = self.parameters.clone(prefix="exp_avg", init="zeros")
        self.exp_avg_sq = self.parameters.clone(prefix="exp_avg_sq", init="zeros")
        self.state_step = ms.Parameter(ms.Tensor(0, ms.int32), name="state_step")

    def construct(self, gradients):
        """One step."""
        ops.assign_add(self.state_step, ms.Tensor(1, ms.int32))
        step = int(self.state_step)
        for start, group in zip(self.group_start_id, self.param_groups):
            beta1, beta2 = group["betas"]
            rate = float(group["lr"]) * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
            for i, param in enumerate(group["params"], start):
                gradient = -gradients[i] if group["maximize"] else gradients[i]
                rows = gradient.abs().reshape(gradient.shape[0], -1).sum(1) > 0
                rows = rows.reshape(-1, *(1 for _ in gradient.shape[1:]))
                average = beta1 * self.exp_avg[i] + (1 - beta1) * gradient
                square = beta2 * self.exp_avg_sq[i] + (1 - beta2) * gradient.square()
                ops.assign(self.exp_avg[i], mint.where(rows, average, self.exp_avg[i]))
                ops.assign(self.exp_avg_sq[i], mint.where(rows, square, self.exp_avg_sq[i]))
                change = rate * average / (square.sqrt() + group["eps"])
                ops.assign(param, mint.where(rows, param - change, param))
        return True


class Adafactor(optim.Optimizer):
    """PyTorch's Adafactor."""

    def __init__(self, params, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, maximize=False):
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)
        self.row_var = [ms.Parameter(ops.zeros_like(p.sum(-1, keepdims=True))) for p in self.parameters]
        self.col_var = [ms.Parameter(ops.zeros_like(p.sum(max(-2, -p.ndim), keepdims=True))) for p in self.parameters]
        self.variance = [ms.Parameter(ops.zeros_like(p)) if p.ndim < 2 else None for p in self.parameters]
        self.state_step = ms.Parameter(ms.Tensor(0, ms.int32), name="state_step")

    def estimate(self, i, gradient, weight, eps):
        """The second moment of a gradient, factored over its last two axes."""
        square = gradient.square()
        if gradient.ndim < 2:
            ops.assign(self.variance[i], (1 - weight) * self.variance[i] + weight * square)
            return self.variance[i]
        row, column = self.row_var[i], self.col_var[i]
        ops.assign(row, (1 - weight) * row + weight * square.mean(-1, keep_dims=True))
        ops.assign(column, (1 - weight) * column + weight * square.mean(-2, keep_dims=True))
        return mint.matmul(row, column) / mint.clamp(row.mean(-2, keep_dims=True), min=eps)

    def construct(self, gradients):
        """One step."""
        ops.assign_add(self.state_step, ms.Tensor(1, ms.int32))
        step = int(self.state_step)
        for start, group in zip(self.group_start_id, self.param_groups):
            lr, (eps1, eps2) = float(group["lr"]), group["eps"]
            eps1 = 1.1920928955078125e-07 if eps1 is None else eps1
            for i, param in enumerate(group["params"], start):
                gradient = -gradients[i] if group["maximize"] else gradients[i]
                rate = max(eps2, float(param.square().mean().sqrt())) * min(lr, step**-0.5)
                if group["weight_decay"]:
                    ops.assign(param, param * (1 - lr * group["weight_decay"]))
                estimate = self.estimate(i, gradient, step ** group["beta2_decay"], eps1)
                update = mint.rsqrt(mint.clamp(estimate, min=eps1 * eps1)) * gradient
                ops.assign(param, param - rate / max(1.0, float(update.square().mean().sqrt()) / group["d"]) * update)
        return True


class Muon(optim.Optimizer):
    """PyTorch's Muon, for matrices; its orthogonalisation is in float32 here, in bfloat16 in PyTorch."""

    def __init__(
        self,
        params,
        lr=1e-3,
        weight_decay=0.1,
        momentum=0.95,
        nesterov=True,
        ns_coefficients=(3.4445, -4.775, 2.0315),
        eps=1e-7,
        ns_steps=5,
        adjust_lr_fn=None,
    ):
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        self.momentum_buffer = self.parameters.clone(prefix="momentum_buffer", init="zeros")

    def orthogonal(self, x, group):
        """Newton and Schulz's iteration towards the nearest orthogonal matrix."""
        a, b, c = group["ns_coefficients"]
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / mint.clamp(x.square().sum().sqrt(), min=group["eps"])
        for _ in range(group["ns_steps"]):
            gram = mint.matmul(x, x.T)
            x = a * x + mint.matmul(b * gram + c * mint.matmul(gram, gram), x)
        return x.T if tall else x

    def construct(self, gradients):
        """One step."""
        for start, group in zip(self.group_start_id, self.param_groups):
            lr, momentum = float(group["lr"]), group["momentum"]
            for i, param in enumerate(group["params"], start):
                average = momentum * self.momentum_buffer[i] + (1 - momentum) * gradients[i]
                ops.assign(self.momentum_buffer[i], average)
                update = (1 - momentum) * gradients[i] + momentum * average if group["nesterov"] else average
                rows, columns = param.shape
                scale = max(1, rows / columns) ** 0.5
                if group["adjust_lr_fn"] == "match_rms_adamw":
                    scale = 0.2 * max(rows, columns) ** 0.5
                change = lr * scale * self.orthogonal(update, group)
                ops.assign(param, param * (1 - lr * group["weight_decay"]) - change)
        return True
