import copy
from copy import deepcopy

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, SWALR, update_bn


class ModelEMA:
    """Keeps a moving average of everything in the model state_dict (parameters and buffers)."""

    def __init__(self, model, decay=0.9, updates=0):
        self.ema = deepcopy(model).eval()
        self.updates = updates
        self.decay = lambda x: decay * (1 - 2.718281828 ** (-x / 2000))
        for p in self.ema.parameters():
            p.requires_grad_(False)

    def update(self, model):
        with torch.no_grad():
            self.updates += 1
            d = self.decay(self.updates)
            msd = model.state_dict()
            for k, v in self.ema.state_dict().items():
                if v.dtype.is_floating_point:
                    v *= d
                    v += (1.0 - d) * msd[k].detach()


@torch.no_grad()
def update_ema(target, source, decay=0.99):
    for t, s in zip(target.parameters(), source.parameters()):
        t.data.mul_(decay).add_(s.data, alpha=1 - decay)


def soft_update(local_model, target_model, tau):
    for target_param, local_param in zip(target_model.parameters(), local_model.parameters()):
        target_param.data.copy_(tau * local_param.data + (1.0 - tau) * target_param.data)


def train(model, batches, swa_start=1, epochs=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    swa_model = AveragedModel(model)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)
    swa_scheduler = SWALR(optimizer, swa_lr=0.05)
    ema = ModelEMA(model)
    teacher = copy.deepcopy(model)
    target = copy.deepcopy(model)
    for epoch in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            ema.update(model)
            update_ema(teacher, model)
            soft_update(model, target, 0.1)
        if epoch > swa_start:
            swa_model.update_parameters(model)
            swa_scheduler.step()
        else:
            scheduler.step()
    update_bn(batches, swa_model)
    return swa_model, ema.ema, teacher, target


def make():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
