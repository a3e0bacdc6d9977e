"""Checkpoints of several states in one file: saved, resumed, on the same trajectory as PyTorch's."""

from __future__ import annotations

import types

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

import parity

from tf2ms.torch import convert_source

SCRIPT = """import os

import torch
import torch.nn as nn
import torch.optim as optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 5, bias=False)  # batch norm follows
        self.bn = nn.BatchNorm1d(5)
        self.fc2 = nn.Linear(5, 3)

    def forward(self, x):
        return self.fc2(torch.relu(self.bn(self.fc1(x))))


def save_checkpoint(state, filename):
    torch.save(state, filename)


def train(net, batches, epochs, path, resume=False):
    criterion = nn.CrossEntropyLoss()
    optimizer = OPTIMIZER
    scheduler = SCHEDULER
    start_epoch, best_acc, history = 0, 0.0, []
    if resume:
        print('resuming', path)
        checkpoint = torch.load(path, map_location=torch.device('cpu'))
        net.load_state_dict(checkpoint['model'])
        optimizer.load_state_dict(checkpoint['optimizer'])
        scheduler.load_state_dict(checkpoint['scheduler'])
        start_epoch = checkpoint['epoch'] + 1
        best_acc = checkpoint['best_acc']
        history = checkpoint['history']
    for epoch in range(start_epoch, epochs):
        net.train()
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = criterion(net(inputs), targets)
            loss.backward()
            optimizer.step()
        scheduler.step(SCHEDULED)
        history.append(loss.item())
        best_acc = max(best_acc, 1 / 3 + epoch)
        # everything that resuming needs
        torch.save({
            'epoch': epoch,
            'model': net.state_dict(),  # the weights
            'optimizer': optimizer.state_dict(),
            'scheduler': scheduler.state_dict(),
            'best_acc': best_acc,
            'loss': loss,
            'history': history,
            'worst': float('inf'),
        }, path)
        save_checkpoint({'epoch': epoch + 1, 'state_dict': net.state_dict()}, path + '.last')
    return history, best_acc


def evaluate(net, path):
    checkpoint = torch.load(path + '.last')
    net.load_state_dict(checkpoint['state_dict'])
    return checkpoint['epoch']
"""


def modules(text):
    made = []
    for name, source in (("theirs", text), ("ours", convert_source(text, "train.py").text)):
        module = types.ModuleType(name)
        exec(compile(source, f"{name}.py", "exec"), module.__dict__)
        made.append(module)
    return made


@pytest.mark.parametrize(
    "optimizer, scheduler",
    [
        ("SGD(net.parameters(), lr=0.1, momentum=0.9)", "OneCycleLR(optimizer, 0.05, total_steps=7)"),
        ("Adam(net.parameters(), lr=0.01)", "OneCycleLR(optimizer, 0.05, total_steps=7)"),
        ("RMSprop(net.parameters(), lr=0.01, momentum=0.9)", "OneCycleLR(optimizer, 0.05, total_steps=7)"),
        ("Adam(net.parameters(), lr=0.01, betas=(0.8, 0.99))", "CosineAnnealingLR(optimizer, 5)"),
        ("AdamW(net.parameters(), lr=0.01, amsgrad=True)", "ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)"),
        ("RMSprop(net.parameters(), lr=0.01, momentum=0.9)", "StepLR(optimizer, 2)"),
        ("Adagrad(net.parameters(), lr=0.1)", "CosineAnnealingWarmRestarts(optimizer, 2)"),
        ("Adadelta(net.parameters())", "ExponentialLR(optimizer, 0.7)"),
        ("Adamax(net.parameters(), lr=0.01)", "MultiStepLR(optimizer, [1, 3])"),
        ("NAdam(net.parameters(), lr=0.01)", "LambdaLR(optimizer, lambda e: 0.5 ** e)"),
        ("RAdam(net.parameters(), lr=0.01)", "LinearLR(optimizer)"),
        ("Rprop(net.parameters(), lr=0.01)", "CyclicLR(optimizer, 0.01, 0.1, cycle_momentum=False)"),
    ],
)
def test_resumes_on_the_same_trajectory(optimizer, scheduler, tmp_path):
    import mindspore as ms
    import torch

    text = SCRIPT.replace("OPTIMIZER", f"optim.{optimizer}")
    text = text.replace("SCHEDULER", f"optim.lr_scheduler.{scheduler}")
    text = text.replace("SCHEDULED", "1.0" if "Plateau" in scheduler else "")
    assert not convert_source(text).report.of("attention")
    theirs, ours = modules(text)
    r = np.random.RandomState(0)
    data = [(r.randn(6, 4).astype(np.float32), r.randint(0, 3, 6)) for _ in range(2)]
    batches = [tuple(map(torch.tensor, b)) for b in data]
    our_batches = [tuple(map(ms.Tensor, b)) for b in data]
    net, cell, whole, other = theirs.Net(), ours.Net(), theirs.Net(), ours.Net()
    parity.copy_weights(net, cell)
    whole.load_state_dict(net.state_dict())
    expected = theirs.train(whole, batches, 5, str(tmp_path / "whole.pth"))[0]
    # PyTorch's run in two parts is its run in one; MindSpore's second part starts in a new network
    ours.train(cell, our_batches, 3, str(tmp_path / "ours.ckpt"))
    actual, best = ours.train(other, our_batches, 5, str(tmp_path / "ours.ckpt"), resume=True)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    assert best == 1 / 3 + 4 and len(actual) == 5
    parity.assert_same_weights(whole, other, 1e-4)
    third = ours.Net()
    assert ours.evaluate(third, str(tmp_path / "ours.ckpt")) == 5
    parity.assert_same_weights(whole, third, 1e-4)


HEAD = "import torch\nimport torch.nn as nn\nnet = nn.Linear(2, 2)\n"


def test_parameters_that_only_their_names_tell():
    text = HEAD + (
        "def resume(model, optimizer, scheduler, path):\n"
        "    ckpt = torch.load(path)\n"
        "    model.load_state_dict(ckpt['model_state_dict'])\n"
        "    optimizer.load_state_dict(ckpt['optimizer'])\n"
        "    scheduler.load_state_dict(ckpt['scheduler'])\n"
        "    return ckpt['epoch']\n"
    )
    converted = convert_source(text)
    assert "load_optimizer(optimizer, ckpt['optimizer'])" in converted.text
    assert "load_scheduler(scheduler, ckpt['scheduler'])" in converted.text
    assert "load_state_dict(model, ckpt['model_state_dict'])" in converted.text
    assert not converted.report.of("attention")


def test_weights_alone_stay_a_plain_checkpoint():
    text = HEAD + "torch.save(net.state_dict(), 'a.pth')\nstate = torch.load('a.pth')\nnet.load_state_dict(state)\n"
    converted = convert_source(text)
    assert "ms.save_checkpoint(net, 'a.ckpt')" in converted.text
    assert "state = ms.load_checkpoint('a.ckpt')" in converted.text
    assert "save_state" not in converted.text


@pytest.mark.parametrize(
    "line, reason",
    [
        ("torch.save({'model': net}, 'a.pth')", "net is saved whole; save its state_dict()"),
        ("torch.save(net, 'a.pth')", "only a state_dict, or a dictionary"),
        ("torch.save({1: net.state_dict()}, 'a.pth')", "the key 1 is not a literal string"),
        ("o = torch.optim.LBFGS(net.parameters())\no.state_dict()", "the state of LBFGS is not saved"),
    ],
)
def test_what_is_not_covered_is_marked(line, reason):
    converted = convert_source(HEAD + line + "\n")
    assert any(reason in item.reason for item in converted.report.of("attention")), converted.text


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", "net"])
def test_weights_inside_a_checkpoint(key, tmp_path):
    import torch

    from tf2ms.torch.weights import read_state

    net = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    saved = {"epoch": 3, "loss": torch.tensor(0.5), "optimizer": optimizer.state_dict()}
    torch.save({**saved, key: {f"module.{k}": v for k, v in net.state_dict().items()}}, tmp_path / "c.pth")
    state = read_state(tmp_path / "c.pth")
    assert set(state) == {"weight", "bias"}
    np.testing.assert_array_equal(state["weight"], net.weight.detach().numpy())


def test_weights_not_found_lists_the_keys(tmp_path):
    import torch
    from click.testing import CliRunner

    from tf2ms.torch.cli import torch_command

    torch.save({"epoch": 3, "loss": torch.tensor(0.5), "ema": torch.nn.Linear(2, 3).state_dict()}, tmp_path / "c.pth")
    (tmp_path / "m.py").write_text(HEAD)
    arguments = [tmp_path / "m.py", "-o", tmp_path / "out", "--weights", tmp_path / "c.pth"]
    result = CliRunner().invoke(torch_command, [str(a) for a in arguments])
    assert result.exit_code == 1 and "it holds: 'ema', 'epoch', 'loss'" in result.output
    assert not (tmp_path / "out").exists()
