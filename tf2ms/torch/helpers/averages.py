"""Averages of weights.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import copy

import mindspore as ms
from mindspore import nn, ops


def get_ema_avg_fn(decay=0.999):
    """An exponential moving average, for AveragedModel."""
    return lambda averaged, new, count: decay * averaged + (1 - decay) * new


class AveragedModel(nn.Cell):
    """PyTorch's AveragedModel: a copy of a network whose weights are averages."""

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        self.module = copy.deepcopy(model)
        self.n_averaged = ms.Parameter(ms.Tensor(0, ms.int64), requires_grad=False)
        self.avg_fn = avg_fn or (lambda averaged, new, count: averaged + (new - averaged) / (count + 1))
        self.use_buffers = use_buffers

    def construct(self, *inputs):
        """The network with the averages."""
        return self.module(*inputs)

    def update_parameters(self, model):
        """Takes the weights of `model` into the averages; its buffers too, or copies them."""
        count = int(self.n_averaged)
        weights = {id(parameter) for parameter in parameters(model)}
        for averaged, new in zip(self.module.get_parameters(), model.get_parameters()):
            copied = count == 0 or not (self.use_buffers or id(new) in weights)
            ops.assign(averaged, new if copied else self.avg_fn(averaged, new, count).astype(averaged.dtype))
        ops.assign(self.n_averaged, ms.Tensor(count + 1, ms.int64))


def update_bn(loader, model, device=None):
    """PyTorch's update_bn: the statistics of batch norm as averages over all batches."""
    layers = [cell for _, cell in model.cells_and_names() if isinstance(cell, (nn.BatchNorm1d, nn.BatchNorm2d))]
    statistics = [s for layer in layers for s in (layer.moving_mean, layer.moving_variance)]
    rates = [layer.momentum for layer in layers for _ in range(2)]  # a batch's share of a statistic
    if not statistics:
        return
    totals, count, training = [0.0] * len(statistics), 0, model.training
    model.set_train()
    for batch in loader:
        for statistic in statistics:
            ops.assign(statistic, ops.zeros_like(statistic))
        model(batch[0] if isinstance(batch, (tuple, list)) else batch)
        totals = [total + s / rate for total, s, rate in zip(totals, statistics, rates)]
        count += 1
    for statistic, total in zip(statistics, totals):
        ops.assign(statistic, total / count)
    model.set_train(training)
