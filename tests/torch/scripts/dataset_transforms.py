import os
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader
from torchvision import transforms


class ShapesDataset(Dataset):
    """Images made of rectangles."""

    def __init__(self, length, size=32, transform=None):
        self.length = length
        self.size = size
        self.transform = transform

    def __len__(self):
        return self.length

    def __getitem__(self, idx):
        r = np.random.RandomState(idx)
        image = np.zeros((self.size, self.size, 3), dtype=np.uint8)
        label = idx % 2
        x, y = r.randint(0, self.size // 2, 2)
        image[y:y + 8, x:x + (16 if label else 8)] = r.randint(64, 255, 3)
        if self.transform:
            image = self.transform(image)
        return image, label


def build_transforms(train):
    if train:
        return transforms.Compose([
            transforms.ToPILImage(),
            transforms.RandomCrop(28, padding=2),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(brightness=0.2),
            transforms.ToTensor(),
            transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ])
    return transforms.Compose([
        transforms.ToPILImage(),
        transforms.Resize(28),
        transforms.ToTensor(),
        transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)),
        )
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


def main(epochs=1):
    torch.manual_seed(0)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    train_loader = DataLoader(ShapesDataset(32, transform=build_transforms(True)), batch_size=8, shuffle=True,
                              num_workers=2, drop_last=True)
    val_loader = DataLoader(ShapesDataset(10, transform=build_transforms(False)), batch_size=4, shuffle=False)
    model = Net().to(device)
    criterion = nn.CrossEntropyLoss().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    losses = []
    for epoch in range(epochs):
        model.train()
        for images, labels in train_loader:
            images = images.to(device)
            labels = labels.to(device)
            logits = model(images)
            loss = criterion(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()

        model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in val_loader:
                logits = model(images.to(device))
                correct += (logits.argmax(dim=1) == labels.to(device)).sum().item()
        print(f"epoch {epoch}: accuracy {correct}")
    torch.save(model.state_dict(), os.path.join(os.environ.get("OUT", "."), "model.pth"))
    return model, losses


if __name__ == "__main__":
    random.seed(0)
    main()
