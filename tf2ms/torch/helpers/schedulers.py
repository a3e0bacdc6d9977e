"""Learning rate schedulers.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import mindspore as ms
import numpy as np
from mindspore.experimental import optim


def set_momentum(group, momentum):
    """The momentum, or the first of the betas, of a group; a number, as MindSpore's optimizers take no tensor there."""
    momentum = float(momentum)
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def each(value, optimizer):
    """One value for each parameter group."""
    return list(value) if isinstance(value, (list, tuple)) else [value] * len(optimizer.param_groups)


class OneCycleLR(optim.lr_scheduler.LRScheduler):
    """PyTorch's OneCycleLR."""

    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps=None,
        epochs=None,
        steps_per_epoch=None,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        last_epoch=-1,
    ):
        self.total_steps = epochs * steps_per_epoch if total_steps is None else total_steps
        self.linear, self.cycle_momentum = anneal_strategy == "linear", cycle_momentum
        up = pct_start * self.total_steps - 1
        rates = [(rate / div_factor, rate, rate / div_factor / final_div_factor) for rate in each(max_lr, optimizer)]
        momenta = list(zip(each(base_momentum, optimizer), each(max_momentum, optimizer)))
        # a phase: its first and last step; for each group the rate and the momentum at its ends
        last = self.total_steps - 1
        self.phases = [(0.0, up, [r[:2] for r in rates], [m[::-1] for m in momenta])]
        if three_phase:
            self.phases.append((up, 2 * up, [r[1::-1] for r in rates], momenta))
            self.phases.append((2 * up, last, [r[::2] for r in rates], [(m[1], m[1]) for m in momenta]))
        else:
            self.phases.append((up, last, [r[1:] for r in rates], momenta))
        for group, rate in zip(optimizer.param_groups, rates):
            group["initial_lr"] = ms.Tensor(rate[0], ms.float32)
        super().__init__(optimizer, last_epoch)

    def between(self, ends, part):
        """The value at a part of the way from one end to the other."""
        start, end = ends
        return (
            start + (end - start) * part if self.linear else end + (start - end) / 2 * (1 + float(np.cos(np.pi * part)))
        )

    def get_lr(self):
        """The rates of this step; sets the momentum too."""
        step = int(self.last_epoch)
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        start, end, rates, momenta = next((p for p in self.phases if step <= p[1]), self.phases[-1])
        part = (step - start) / (end - start)
        if self.cycle_momentum:
            for group, ends in zip(self.optimizer.param_groups, momenta):
                set_momentum(group, self.between(ends, part))
        return [ms.Tensor(self.between(ends, part), ms.float32) for ends in rates]


class CyclicLR(optim.lr_scheduler.LRScheduler):
    """PyTorch's CyclicLR."""

    def __init__(
        self,
        optimizer,
        base_lr,
        max_lr,
        step_size_up=2000,
        step_size_down=None,
        mode="triangular",
        gamma=1.0,
        scale_fn=None,
        scale_mode="cycle",
        cycle_momentum=True,
        base_momentum=0.8,
        max_momentum=0.9,
        last_epoch=-1,
    ):
        step_size_down = step_size_up if step_size_down is None else step_size_down
        self.size, self.rise = step_size_up + step_size_down, step_size_up / (step_size_up + step_size_down)
        scales = {"triangular": lambda x: 1.0, "triangular2": lambda x: 2.0 ** (1 - x), "exp_range": lambda x: gamma**x}
        self.scale = scale_fn or scales[mode]
        self.by_cycle = scale_mode == "cycle" if scale_fn else mode != "exp_range"
        self.rates = list(zip(each(base_lr, optimizer), each(max_lr, optimizer)))
        self.momenta = list(zip(each(base_momentum, optimizer), each(max_momentum, optimizer)))
        self.cycle_momentum = cycle_momentum
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        """The rates of this step; sets the momentum too."""
        step = int(self.last_epoch)
        cycle = 1 + step // self.size
        place = 1.0 + step / self.size - cycle
        height = place / self.rise if place <= self.rise else (place - 1) / (self.rise - 1)
        height *= self.scale(cycle if self.by_cycle else step)
        if self.cycle_momentum:
            for group, (low, high) in zip(self.optimizer.param_groups, self.momenta):
                set_momentum(group, high - (high - low) * height)
        return [ms.Tensor(low + (high - low) * height, ms.float32) for low, high in self.rates]


class ChainedScheduler:
    """PyTorch's ChainedScheduler."""

    def __init__(self, schedulers, optimizer=None):
        self.schedulers = list(schedulers)
        self.optimizer = self.schedulers[0].optimizer if optimizer is None else optimizer

    def step(self):
        """One step of every scheduler."""
        for scheduler in self.schedulers:
            scheduler.step()

    def get_last_lr(self):
        """The rates of the groups."""
        return self.schedulers[-1].get_last_lr()


class SWALR(optim.lr_scheduler.LRScheduler):
    """PyTorch's SWALR: from the rates of the moment to fixed ones, in `anneal_epochs` steps."""

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        self.ends, self.epochs, self.linear = each(swa_lr, optimizer), anneal_epochs, anneal_strategy == "linear"
        super().__init__(optimizer, last_epoch)

    def share(self, step):
        """How far the rates have come after a step."""
        part = max(0.0, min(1.0, step / max(1, self.epochs)))
        return part if self.linear else (1 - float(np.cos(np.pi * part))) / 2

    def get_lr(self):
        """The rates of this step."""
        step = int(self.last_epoch) if self.epochs else max(1, int(self.last_epoch))
        now, before = self.share(step), self.share(max(0, step - 1))
        rates = []
        for group, end in zip(self.optimizer.param_groups, self.ends):
            rate = float(group["lr"])
            start = end if before == 1 else (rate - before * end) / (1 - before)
            rates.append(ms.Tensor(end * now + start * (1 - now), ms.float32))
        return rates
