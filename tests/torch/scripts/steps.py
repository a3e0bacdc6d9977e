"""Training steps of several shapes: scaled, in two phases, with two losses."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.bn = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.bn(self.fc(x))


def train(net, batches):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scaler = torch.cuda.amp.GradScaler(init_scale=16.0)
    net.train()
    history = []
    for x, y in batches:
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
        history.append(loss.item())
    return history


def two_phase(net, batches):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    history = []
    for phase in ['train', 'val']:
        if phase == 'train':
            net.train()
        else:
            net.eval()
        for x, y in batches:
            optimizer.zero_grad()
            with torch.set_grad_enabled(phase == 'train'):
                out = net(x)
                loss = F.mse_loss(out, y)
                if phase == 'train':
                    loss.backward()
                    optimizer.step()
            history.append(loss.item() * x.size(0))
    return history


def two_losses(net, batches):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    history = []
    net.train()
    for x, y in batches:
        optimizer.zero_grad()
        out = net(x)
        first = F.mse_loss(out, y)
        second = F.l1_loss(out, y)
        first.backward(retain_graph=True)
        second.backward()
        optimizer.step()
        history.append((first + second).item())
    return history
