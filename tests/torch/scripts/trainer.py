import logging
import os
from collections import defaultdict
from typing import Dict, List, Optional

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.data import random_split

logger = logging.getLogger(__name__)


class SineDataset(Dataset):
    def __init__(self, n=32, noise=0.0):
        rng = np.random.default_rng(0)
        self.x = rng.uniform(-3, 3, size=(n, 1)).astype(np.float32)
        self.y = np.sin(self.x) + noise * rng.normal(size=(n, 1)).astype(np.float32)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, idx):
        return {"x": torch.from_numpy(self.x[idx]), "y": torch.from_numpy(self.y[idx])}


class MLP(nn.Module):
    def __init__(self, sizes: List[int], activation=nn.ReLU, output_activation=nn.Identity):
        super().__init__()
        layers = []
        for j in range(len(sizes) - 1):
            act = activation if j < len(sizes) - 2 else output_activation
            layers += [nn.Linear(sizes[j], sizes[j + 1]), act()]
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x)


class EarlyStopping:
    def __init__(self, patience: int = 3, delta: float = 0.0):
        self.patience, self.delta = patience, delta
        self.best: Optional[float] = None
        self.counter = 0

    def __call__(self, value: float) -> bool:
        if self.best is None or value < self.best - self.delta:
            self.best, self.counter = value, 0
        else:
            self.counter += 1
        return self.counter >= self.patience


class Trainer:
    def __init__(self, model, config, train_set, val_set, device=None):
        self.config = config
        self.device = device or torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.criterion = nn.MSELoss(reduction="mean")
        decay, no_decay = [], []
        for name, param in self.model.named_parameters():
            if not param.requires_grad:
                continue
            if param.ndim == 1 or name.endswith(".bias"):
                no_decay.append(param)
            else:
                decay.append(param)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decay, "weight_decay": config["weight_decay"]},
                {"params": no_decay, "weight_decay": 0.0},
            ],
            lr=config["lr"],
        )
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lr_lambda=lambda step: min(1.0, (step + 1) / 4))
        self.train_loader = DataLoader(train_set, batch_size=config["batch_size"], shuffle=config["shuffle"])
        self.val_loader = DataLoader(val_set, batch_size=config["batch_size"])
        self.stopper = EarlyStopping(patience=2)
        self.history: Dict[str, List[float]] = defaultdict(list)
        self.global_step = 0

    def fit(self):
        for epoch in range(self.config["epochs"]):
            train_loss = self._run_epoch()
            val_loss = self.validate()
            self.history["train"].append(train_loss)
            self.history["val"].append(val_loss)
            logger.info("epoch %d: train %.4f val %.4f", epoch, train_loss, val_loss)
            if self.stopper(val_loss):
                break
        return dict(self.history)

    def _step(self, batch):
        x = batch["x"].to(self.device)
        y = batch["y"].to(self.device)
        pred = self.model(x)
        return self.criterion(pred, y), pred

    def _run_epoch(self):
        self.model.train()
        total = 0.0
        for batch in self.train_loader:
            self.optimizer.zero_grad()
            loss, _ = self._step(batch)
            loss.backward()
            grad_norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config["max_norm"])
            self.optimizer.step()
            self.scheduler.step()
            self.global_step += 1
            total += loss.item() * len(batch["x"])
            self.history["grad_norm"].append(float(grad_norm))
        return total / len(self.train_loader.dataset)

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        losses = [self._step(batch)[0].item() for batch in self.val_loader]
        return sum(losses) / len(losses)

    def save(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        torch.save({"model": self.model.state_dict(), "step": self.global_step}, path)

    def load(self, path):
        state = torch.load(path, map_location=self.device)
        self.model.load_state_dict(state["model"])
        self.global_step = state["step"]


def main(config=None):
    config = config or {"lr": 1e-2, "weight_decay": 0.1, "batch_size": 8, "epochs": 3, "max_norm": 1.0,
                        "shuffle": False}
    train_set, val_set = SineDataset(24), SineDataset(8)
    trainer = Trainer(MLP([1, 16, 16, 1], activation=nn.Tanh), config, train_set, val_set)
    return trainer
