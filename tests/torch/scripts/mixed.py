"""Text classification with a lambda collate, nested functions, numpy in between."""
import functools
import itertools
import random
from collections import Counter

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence, pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, TensorDataset

TEXTS = [("good film indeed", 1), ("bad film", 0), ("very good", 1), ("very very bad indeed", 0),
         ("good good film", 1), ("bad bad bad", 0)]


def build_vocab(texts):
    counter = Counter(itertools.chain.from_iterable(t.split() for t, _ in texts))
    return {"<pad>": 0, **{w: i + 1 for i, w in enumerate(sorted(counter))}}


def make_loader(texts, vocab, batch_size=3):
    def encode(sample):
        text, label = sample
        return torch.tensor([vocab[w] for w in text.split()], dtype=torch.long), label

    def collate(batch, pad=0):
        tokens, labels = zip(*[encode(b) for b in batch])
        lengths = torch.tensor([len(t) for t in tokens])
        return pad_sequence(tokens, batch_first=True, padding_value=pad), torch.tensor(labels), lengths

    return DataLoader(texts, batch_size=batch_size, collate_fn=lambda b: collate(b, pad=vocab["<pad>"]))


class Classifier(nn.Module):
    def __init__(self, vocab_size, dim=8, hidden=6, classes=2, pad_idx=0):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=pad_idx)
        self.rnn = nn.LSTM(dim, hidden, num_layers=1, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * hidden, classes)
        self.pad_idx = pad_idx

    def forward(self, tokens, lengths):
        mask = (tokens != self.pad_idx).unsqueeze(-1).float()
        out, (h, c) = self.rnn(self.embedding(tokens))
        pooled = (out * mask).sum(1) / lengths.unsqueeze(1).float()
        return self.fc(pooled)


def confusion(pred, target, classes):
    cm = np.zeros((classes, classes), dtype=np.int64)
    for p, t in zip(pred.cpu().numpy(), target.cpu().numpy()):
        cm[t, p] += 1
    return cm


def train(model, loader, epochs=3, lr=0.05):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    log = []

    def closure(tokens, labels, lengths):
        logits = model(tokens, lengths)
        return F.cross_entropy(logits, labels, reduction='sum'), logits

    for epoch in range(epochs):
        cm = np.zeros((2, 2), dtype=np.int64)
        for tokens, labels, lengths in loader:
            optimizer.zero_grad()
            loss, logits = closure(tokens, labels, lengths)
            loss.backward()
            optimizer.step()
            cm += confusion(logits.detach().max(1)[1], labels, 2)
            log.append(loss.detach().cpu().numpy().item())
        acc = np.trace(cm) / cm.sum()
        print(f'{epoch}: {acc:.3f}')
    return log


def kmeans(x, k=2, iters=5):
    """Lloyd's algorithm on tensors."""
    x = torch.as_tensor(x)
    centers = x[:k].clone()
    for _ in range(iters):
        dist = ((x[:, None, :] - centers[None, :, :]) ** 2).sum(-1)
        assign = dist.argmin(dim=1)
        for j in range(k):
            sel = x[assign == j]
            if len(sel):
                centers[j] = sel.mean(0)
    return centers, assign
