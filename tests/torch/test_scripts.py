"""Whole files in the usual ways of model repositories: converted, imported, compared, trained a few steps."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

import parity

from tf2ms.torch import convert_source

SCRIPTS = Path(__file__).parent / "scripts"
R = np.random.RandomState


def pair(name):
    return parity.load_pair(SCRIPTS / f"{name}.py")


def both_ways(values):
    """The same arrays as tensors of PyTorch and of MindSpore, in the same nesting."""
    import mindspore as ms
    import torch

    if isinstance(values, list | tuple):
        made = [both_ways(v) for v in values]
        return type(values)(m[0] for m in made), type(values)(m[1] for m in made)
    return torch.tensor(values), ms.Tensor(values)


def images(count, *shape):
    return [R(i).randn(*shape).astype(np.float32) for i in range(count)]


@pytest.mark.parametrize("name", sorted(p.stem for p in SCRIPTS.glob("*.py")))
def test_nothing_needs_attention(name):
    text = (SCRIPTS / f"{name}.py").read_text()
    converted = convert_source(text, f"{name}.py")
    assert not converted.report.of("attention"), converted.report.summary()
    assert "torch" not in converted.text.replace("PyTorch", "").replace("torchvision's", "")
    kept = [line.strip() for line in text.splitlines() if line.strip().startswith("#")]
    for comment in kept:
        assert comment in converted.text


def test_cifar_resnet():
    theirs, ours = pair("cifar_resnet")
    net, cell = theirs.ResNet8(), ours.ResNet8()
    parity.assert_same_module(net, cell, R(0).randn(2, 3, 16, 16).astype(np.float32), forward=2e-5, gradient=1e-4)
    batches = [(x, R(9).randint(0, 10, 4)) for x in images(2, 4, 3, 16, 16)]
    their_batches, our_batches = both_ways(batches)
    net, cell = theirs.ResNet8(), ours.ResNet8()
    parity.copy_weights(net, cell)
    expected = theirs.main(their_batches, their_batches, epochs=2, net=net)
    actual = ours.main(our_batches, our_batches, epochs=2, net=cell)
    np.testing.assert_allclose(actual, expected, rtol=2e-3)


@pytest.mark.parametrize("bilinear", [False, True])
def test_unet(bilinear):
    theirs, ours = pair("unet")
    net, cell = theirs.UNet(3, 2, bilinear), ours.UNet(3, 2, bilinear)
    parity.assert_same_module(net, cell, R(0).randn(2, 3, 18, 20).astype(np.float32), forward=2e-5, gradient=1e-4)
    net, cell = theirs.UNet(3, 2, bilinear), ours.UNet(3, 2, bilinear)
    parity.copy_weights(net, cell)
    their_batches, our_batches = both_ways([(x, R(1).randint(0, 2, (2, 16, 16))) for x in images(2, 2, 3, 16, 16)])
    expected = theirs.train_model(net, their_batches)
    np.testing.assert_allclose(ours.train_model(cell, our_batches), expected, rtol=1e-3)


def test_dcgan():
    theirs, ours = pair("dcgan")
    nets = [theirs.Generator(), theirs.Discriminator()]
    cells = [ours.Generator(), ours.Discriminator()]
    for net, cell in zip(nets, cells, strict=True):
        net.apply(theirs.weights_init)
        cell.apply(ours.weights_init)
        cell.set_train()
        parity.copy_weights(net, cell)
    their_data, our_data = both_ways(images(2, 4, 3, 16, 16))
    their_noise, our_noise = both_ways(images(2, 4, 16, 1, 1))
    expected = theirs.train(*nets, their_data, their_noise)
    actual = ours.train(*cells, our_data, our_noise)
    np.testing.assert_allclose(actual, expected, rtol=2e-3)


def test_vae():
    theirs, ours = pair("vae")
    net, cell = theirs.VAE(), ours.VAE()
    parity.assert_same_module(net, cell, R(0).rand(3, 64).astype(np.float32), train=False)
    their_batches, our_batches = both_ways([R(i).rand(4, 8, 8).astype(np.float32) for i in range(3)])
    np.testing.assert_allclose(ours.run(cell, our_batches), theirs.run(net, their_batches), rtol=1e-4)
    assert ours.sample(cell).shape == (64, 64)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_lstm_language_model(kind):
    theirs, ours = pair("lstm_lm")
    arguments = (kind, 20, 8, 8, 2, 0.0)
    net, cell = theirs.RNNModel(*arguments), ours.RNNModel(*arguments)
    parity.copy_weights(net, cell)
    tokens, our_tokens = both_ways(R(0).randint(0, 20, 65))
    data, our_data = theirs.batchify(tokens, 4), ours.batchify(our_tokens, 4)
    assert (data.numpy() == our_data.asnumpy()).all()
    np.testing.assert_allclose(ours.train(cell, our_data), theirs.train(net, data), rtol=1e-4)
    parity.assert_same_weights(net, cell, 1e-4)


def test_transformer():
    theirs, ours = pair("transformer")
    net, cell = theirs.TransformerLM(11), ours.TransformerLM(11)
    parity.assert_same_module(net, cell, R(0).randint(0, 11, (2, 7)), forward=1e-5, gradient=1e-4)
    batches = [(R(i).randint(0, 11, (2, 7)), R(i + 9).randint(0, 11, (2, 7))) for i in range(4)]
    their_batches, our_batches = both_ways(batches)
    np.testing.assert_allclose(ours.run_epoch(cell, our_batches), theirs.run_epoch(net, their_batches), rtol=1e-3)


def test_mobilenet():
    theirs, ours = pair("mobilenet")
    net, cell = theirs.mobilenet_v2(num_classes=5), ours.mobilenet_v2(num_classes=5)
    parity.assert_same_module(net, cell, R(0).randn(2, 3, 16, 16).astype(np.float32), forward=2e-5, gradient=2e-4)


def test_detection_head():
    theirs, ours = pair("detection")
    net, cell = theirs.DetectionHead(8, 2, 3), ours.DetectionHead(8, 2, 3)
    parity.assert_same_module(net, cell, R(0).randn(2, 8, 4, 5).astype(np.float32))
    boxes = np.array([[4, 4, 18, 16], [10, 2, 30, 20]], np.float32)
    their_arguments, our_arguments = both_ways([images(2, 2, 8, 4, 5), boxes, np.array([0, 2])])
    np.testing.assert_allclose(ours.run(cell, *our_arguments), theirs.run(net, *their_arguments), rtol=1e-4)


def test_dataset_with_transforms(tmp_path, monkeypatch):
    """torchvision is not installed: the converted file runs alone."""
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setitem(sys.modules, "torch", None)
    converted = convert_source((SCRIPTS / "dataset_transforms.py").read_text(), "dataset_transforms.py").text
    module = types.ModuleType("shapes")
    exec(compile(converted, "shapes.py", "exec"), module.__dict__)
    _, losses = module.main()
    assert len(losses) == 4 and np.isfinite(losses).all()
    assert (tmp_path / "model.ckpt").exists()


@pytest.mark.parametrize("step", ["train", "two_phase", "two_losses"])
def test_shapes_of_training_steps(step):
    theirs, ours = pair("steps")
    net, cell = theirs.Net(), ours.Net()
    parity.copy_weights(net, cell)
    batches = [(R(i).randn(6, 4).astype(np.float32), R(i + 5).randn(6, 3).astype(np.float32)) for i in range(4)]
    their_batches, our_batches = both_ways(batches)
    expected = getattr(theirs, step)(net, their_batches)
    np.testing.assert_allclose(getattr(ours, step)(cell, our_batches), expected, rtol=1e-5)
    parity.assert_same_weights(net, cell, 1e-5)
