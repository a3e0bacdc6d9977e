"""Pre-activation bottleneck, and a small network around it."""

import torch
import torch.nn as nn
import torch.optim as optim


class Bottleneck(nn.Module):
    # output channels = planes * expansion
    expansion = 4

    def __init__(self, inplanes, planes, stride=1, mode='NORM', k=1, dilation=1):
        """
        Pre-activation residual block with three modes.
        """
        super(Bottleneck, self).__init__()
        self.mode = mode
        self.relu = nn.ReLU(inplace=True)
        self.k = k

        bottleneck_planes = planes // self.expansion

        self.bn1 = nn.BatchNorm2d(inplanes)
        self.conv1 = nn.Conv2d(inplanes, bottleneck_planes, kernel_size=1, bias=False)

        self.bn2 = nn.BatchNorm2d(bottleneck_planes)
        self.conv2 = nn.Conv2d(bottleneck_planes, bottleneck_planes, kernel_size=3, stride=stride,
                               padding=dilation, bias=False, dilation=dilation)

        self.bn3 = nn.BatchNorm2d(bottleneck_planes, momentum=0.05)
        self.conv3 = nn.Conv2d(bottleneck_planes, planes, kernel_size=1)

        if mode == 'UP':
            self.shortcut = None
        elif inplanes != planes or stride > 1:
            self.shortcut = nn.Sequential(
                nn.BatchNorm2d(inplanes),
                nn.ReLU(inplace=True),
                nn.Conv2d(inplanes, planes, kernel_size=1, stride=stride, bias=False)  # projection
            )
        else:
            self.shortcut = None

    def _pre_act_forward(self, x):
        residual = x

        out = self.bn1(x)
        out = self.relu(out)
        out = self.conv1(out)

        out = self.bn2(out)
        out = self.relu(out)
        out = self.conv2(out)

        out = self.bn3(out)
        out = self.relu(out)
        out = self.conv3(out)

        if self.mode == 'UP':
            residual = self.squeeze_idt(x)
        elif self.shortcut is not None:
            residual = self.shortcut(residual)

        out += residual

        return out

    def squeeze_idt(self, idt):
        n, c, h, w = idt.size()
        return idt.view(n, c // self.k, self.k, h, w).sum(2)

    def forward(self, x):
        out = self._pre_act_forward(x)
        return out


class SmallNet(nn.Module):
    """A stem, two bottlenecks and a classifier."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 7, stride=2, padding=3)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.block1 = Bottleneck(16, 32, stride=2)
        self.block2 = Bottleneck(32, 16, mode='UP', k=2)
        self.dropout = nn.Dropout(p=0.1)
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x):
        x = self.pool(self.stem(x))
        x = self.block2(self.block1(x))
        x = x.mean(dim=(2, 3))
        return self.fc(self.dropout(x))


def train(net, images, labels, steps=5):
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    net.train()
    losses = []
    for step in range(steps):
        optimizer.zero_grad()  # forget the last step
        logits = net(images)
        loss = criterion(logits, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
