"""`--train-style`: plain loops as training cells and as Model.train end with PyTorch's parameters."""

from __future__ import annotations

import types
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tf2ms.torch import convert_source
from tf2ms.torch.cli import torch_command

SCRIPT = Path(__file__).parent / "scripts" / "plain_loops.py"
LOOPS = ["tutorial", "bare", "functional", "with_accuracy", "flattened"]


def converted(style):
    return convert_source(SCRIPT.read_text(), SCRIPT.name, style)


def part(text, function):
    """The text of one function."""
    return text.partition(f"def {function}(")[2].partition("\n\n\n")[0]


@pytest.fixture(scope="module")
def modules():
    pytest.importorskip("torch")
    pytest.importorskip("mindspore")
    made = {}
    for style, text in [
        ("torch", SCRIPT.read_text()),
        *((s, converted(s).text) for s in ("functional", "cells", "model")),
    ]:
        made[style] = types.ModuleType(style)
        exec(compile(text, style, "exec"), made[style].__dict__)
    return made


@pytest.mark.parametrize("style", ["functional", "cells", "model"])
@pytest.mark.parametrize("loop", LOOPS)
def test_same_parameters_after_the_run(modules, loop, style):
    import parity
    import torch

    theirs, ours = modules["torch"], modules[style]
    r = np.random.RandomState(0)
    torch.manual_seed(0)
    images, labels = r.randn(16, 6).astype(np.float32), r.randint(0, 3, 16)
    net, cell = theirs.Net(), ours.Net()
    parity.copy_weights(net, cell)
    cell.set_train()
    expected = getattr(theirs, loop)(net, images, labels)
    actual = getattr(ours, loop)(cell, images, labels)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    parity.assert_same_weights(net, cell, 1e-4)  # Adam's rounding; running statistics are among them


def test_what_is_plain_and_what_is_not():
    cells, model = converted("cells"), converted("model")
    for loop in ("tutorial", "bare", "functional", "flattened"):
        assert "= nn.TrainOneStepCell(" in part(cells.text, loop) and "value_and_grad" not in part(cells.text, loop)
    for loop in ("tutorial", "bare", "functional"):
        assert "trainer.train(" in part(model.text, loop) and "for x, y in" not in part(model.text, loop)
    assert part(cells.text, "with_accuracy") == part(model.text, "with_accuracy")
    assert "value_and_grad" in part(cells.text, "with_accuracy")
    assert "trainer" not in part(model.text, "flattened")
    notes = {item.reason for item in model.report.of("note")}
    assert "value_and_grad, as out is used outside of the step" in notes
    assert any("it does more before the step" in note for note in notes)


@pytest.mark.parametrize(
    "change, to",
    [
        ("optimizer.step()", "torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)\n            optimizer.step()"),
        ("loss = loss_fn(net(x), y)", "loss = loss_fn(net(x), y) + net.fc1.weight.sum()"),
        ("loss = loss_fn(net(x), y)", "loss = loss_fn(net(x, 2), y)"),
        ("for x, y in loader:", "for x, y in loader:\n            net = Net()"),
    ],
)
def test_what_is_more_than_plain_stays_a_function(change, to):
    text = SCRIPT.read_text()
    start = text.index("def bare(")
    changed = text[:start] + text[start:].replace(change, to, 1)
    for style in ("cells", "model"):
        assert "ms.value_and_grad(" in part(convert_source(changed, "x.py", style).text, "bare")


@pytest.mark.parametrize(
    "change, to",
    [
        ("optimizer.step()", "optimizer.step()\n            if loss.item() < 0.1:\n                break"),
        ("optimizer.step()", "optimizer.step()\n            print(x)"),
        ("net.train()", "net.eval()"),
        ("in loader:", "in zip(a, b):"),
        ("    return []", "    return loss.item()"),
    ],
)
def test_a_loop_that_does_more_keeps_its_form(change, to):
    text = SCRIPT.read_text()
    start = text.index("def bare(")
    changed = text[:start] + text[start:].replace(change, to, 1)
    body = part(convert_source(changed, "x.py", "model").text, "bare")
    assert "train_step(x, y.int())" in body and "trainer" not in body


def test_option(tmp_path):
    run = CliRunner().invoke
    result = run(torch_command, [str(SCRIPT), "-o", str(tmp_path), "--train-style", "model"])
    assert result.exit_code == 0, result.output
    assert "trainer.train(epochs, loader, dataset_sink_mode=False)" in (tmp_path / SCRIPT.name).read_text()
    assert run(torch_command, [str(SCRIPT), "-o", str(tmp_path), "--train-style", "other"]).exit_code == 2
