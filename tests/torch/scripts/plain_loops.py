"""Plain training loops, in the ways that tutorials write them."""
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Points(Dataset):
    def __init__(self, images, labels):
        self.images = images
        self.labels = labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, idx):
        image = self.images[idx]
        label = self.labels[idx]
        return image, label


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 8, bias=False)
        self.bn = nn.BatchNorm1d(8)
        self.fc2 = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc2(F.relu(self.bn(self.fc1(x))))


def tutorial(net, images, labels):
    """The loop of PyTorch's tutorials: a running loss, printed every few batches."""
    trainloader = DataLoader(Points(images, labels), batch_size=4, shuffle=False)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

    printed = []
    for epoch in range(2):  # loop over the dataset multiple times
        running_loss = 0.0
        for i, data in enumerate(trainloader, 0):
            # get the inputs; data is a list of [inputs, labels]
            inputs, labels = data

            # zero the parameter gradients
            optimizer.zero_grad()

            # forward + backward + optimize
            outputs = net(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()

            # print statistics
            running_loss += loss.item()
            if i % 2 == 1:
                printed.append(running_loss / 2)
                running_loss = 0.0

    return printed


def bare(net, images, labels, epochs=3):
    device = torch.device('cpu')
    loader = DataLoader(Points(images, labels), batch_size=4)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for epoch in range(epochs):
        net.train()
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            loss = loss_fn(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return []


def functional(net, images, labels):
    loader = DataLoader(TensorDataset(torch.tensor(images), torch.tensor(labels)), batch_size=4)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    losses = []
    for epoch in range(2):
        net.train()
        total = 0
        for batch_idx, (data, target) in enumerate(loader):
            optimizer.zero_grad()
            output = net(data)
            loss = F.cross_entropy(output, target, label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()
        losses.append(total / len(loader))
    return losses


def with_accuracy(net, images, labels):
    """The outputs are read after the step: not plain."""
    loader = DataLoader(Points(images, labels), batch_size=4)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.05)
    correct = []
    for x, y in loader:
        out = net(x)
        loss = criterion(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        correct.append((out.argmax(1) == y).sum().item())
    return correct


def flattened(net, images, labels):
    """The batch is changed before the step: the cell is called in the loop as it was."""
    loader = DataLoader(Points(images, labels), batch_size=4)
    criterion = nn.MSELoss()
    optimizer = optim.RMSprop(net.parameters(), lr=0.01)
    losses = []
    for x, _ in loader:
        target = x[:, :3] * 2
        optimizer.zero_grad()
        loss = criterion(net(x.view(-1, 6)), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
