"""More whole files in the usual ways: mixed precision, own gradients, averages, several networks, other loops."""

from __future__ import annotations

import random
import types
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

import parity

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


def built(theirs, ours, name, *arguments):
    """A network of both files with the same weights."""
    net, cell = getattr(theirs, name)(*arguments), getattr(ours, name)(*arguments)
    parity.copy_weights(net, cell)
    cell.set_train()
    return net, cell


def images(count):
    return [(R(i).randn(4, 3, 8, 8).astype(np.float32), R(i + 5).randint(0, 4, 4)) for i in range(count)]


@pytest.mark.parametrize("clip", [0.5, None])
@pytest.mark.parametrize("scaled", [True, False])
def test_scaler_in_one_branch(scaled, clip):
    """One backward with the scaler and one without; the gradients are unscaled also where nothing is clipped."""
    import mindspore as ms
    import torch

    theirs, ours = pair("amp")
    net, cell = built(theirs, ours, "SmallNet", 4)
    average, our_average = theirs.ExponentialMovingAverage(net, 0.9), ours.ExponentialMovingAverage(cell, 0.9)
    batches, our_batches = both_ways(images(3))
    args = types.SimpleNamespace(clip_grad_norm=clip, ema_steps=1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    our_optimizer = ms.experimental.optim.SGD(cell.trainable_params(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0) if scaled else None
    our_scaler = ms.amp.DynamicLossScaler(8.0, 2, 2000) if scaled else None
    loss, our_loss = torch.nn.CrossEntropyLoss(), lambda x, y: ms.ops.cross_entropy(x, y.int())
    expected = theirs.train_one_epoch(net, loss, optimizer, batches, "cpu", 0, args, average, scaler)
    actual = ours.train_one_epoch(cell, our_loss, our_optimizer, our_batches, "CPU", 0, args, our_average, our_scaler)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    parity.assert_same_weights(net, cell, 1e-4)
    parity.assert_same_weights(average.module, our_average.module, 1e-4)


def test_half_precision_on_the_cpu():
    """float16 in the block: the first loss within its rounding, and not equal to that of float32."""
    theirs, ours = pair("amp")
    net, cell = built(theirs, ours, "SmallNet", 4)
    batches, our_batches = both_ways(images(1))
    full = built(theirs, ours, "SmallNet", 4)[1]
    for ours_too, value in zip(full.get_parameters(), cell.get_parameters(), strict=True):
        ours_too.set_data(value.copy())
    expected, actual = theirs.simple(net, batches, "cpu"), ours.simple(cell, our_batches, "cpu")
    np.testing.assert_allclose(actual, expected, rtol=2e-3)
    assert actual != ours.simple(full, our_batches, "cpu", use_amp=False)


def test_accumulated_and_scaled(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda.amp, "GradScaler", lambda: torch.amp.GradScaler("cpu"))
    theirs, ours = pair("amp")
    net, cell = built(theirs, ours, "SmallNet", 4)
    batches, our_batches = both_ways(images(4))
    np.testing.assert_allclose(ours.accumulate(cell, our_batches), theirs.accumulate(net, batches), rtol=1e-4)
    parity.assert_same_weights(net, cell, 1e-4)
    assert ours.evaluate(cell, our_batches) == theirs.evaluate(net, batches)


def test_gradient_penalty():
    theirs, ours = pair("wgan_gp")
    nets = [built(theirs, ours, name) for name in ("Generator", "Discriminator")]
    data = [[R(i).randn(4, *s).astype(np.float32) for i in range(4)] for s in ((1, 8, 8), (8,), (1, 1, 1))]
    batches, our_batches = both_ways(data)
    expected = theirs.train(*(n for n, _ in nets), *batches)
    actual = ours.train(*(c for _, c in nets), *our_batches)
    np.testing.assert_allclose(actual, expected, rtol=1e-3)
    parity.assert_same_weights(*nets[1], 1e-3)


def test_own_functions():
    theirs, ours = pair("own_functions")
    net, cell = theirs.Net(), ours.Net()
    parity.assert_same_module(net, cell, R(0).randn(5, 4).astype(np.float32))
    x, our_x = both_ways(R(1).rand(3, 4).astype(np.float32))
    np.testing.assert_allclose(ours.saliency(cell, our_x, 1).asnumpy(), theirs.saliency(net, x, 1).numpy(), atol=1e-6)


def test_averages_of_weights():
    theirs, ours = pair("averages")
    net, cell = built(theirs, ours, "make")
    batches = [(R(i).randn(6, 4).astype(np.float32), R(i + 5).randn(6, 2).astype(np.float32)) for i in range(3)]
    batches, our_batches = both_ways(batches)
    for want, have in zip(theirs.train(net, batches), ours.train(cell, our_batches), strict=True):
        parity.assert_same_weights(getattr(want, "module", want), getattr(have, "module", have), 1e-4)


def test_momentum_contrast():
    """A frozen encoder that follows the other, and buffers that change."""
    theirs, ours = pair("moco")
    net, cell = theirs.MoCo(theirs.Encoder), ours.MoCo(ours.Encoder)
    parity.copy_weights(net, cell)
    pairs = [tuple(R(i + 9 * j).randn(4, 3, 6, 6).astype(np.float32) for j in range(2)) for i in range(4)]
    pairs, our_pairs = both_ways(pairs)
    np.testing.assert_allclose(ours.train(cell, our_pairs), theirs.train(net, pairs), rtol=1e-3)
    parity.assert_same_weights(net, cell, 1e-4)


def test_encoder_language_model():
    theirs, ours = pair("encoder_lm")
    net, cell = built(theirs, ours, "TransformerModel", 11, 8, 2, 16, 2, 0.0)
    tokens, our_tokens = both_ways(R(0).randint(0, 11, (13, 3)))
    np.testing.assert_allclose(ours.train(cell, our_tokens, 11), theirs.train(net, tokens, 11), rtol=1e-3)
    assert ours.evaluate(cell, our_tokens, 11) == pytest.approx(theirs.evaluate(net, tokens, 11), rel=1e-3)


def test_sequence_to_sequence():
    theirs, ours = pair("seq2seq")
    encoders = built(theirs, ours, "EncoderRNN", 10, 8)
    decoders = built(theirs, ours, "AttnDecoderRNN", 8, 10, 0.0)
    pairs = [(R(i).randint(2, 10, (3, 1)), np.r_[R(i + 3).randint(2, 10, (2, 1)), [[1]]]) for i in range(3)]
    pairs, our_pairs = both_ways(pairs)
    random.seed(1)
    expected = theirs.trainIters(encoders[0], decoders[0], pairs, 3)
    random.seed(1)
    np.testing.assert_allclose(ours.trainIters(encoders[1], decoders[1], our_pairs, 3), expected, rtol=1e-3)
    parity.assert_same_weights(*decoders, 1e-3)
    words, attention = theirs.evaluate(encoders[0], decoders[0], pairs[0][0])
    our_words, our_attention = ours.evaluate(encoders[1], decoders[1], our_pairs[0][0])
    assert words == our_words
    np.testing.assert_allclose(our_attention.asnumpy(), attention.numpy(), atol=1e-4)


def test_replay_buffer():
    theirs, ours = pair("dqn")
    for cell in (ours.policy_net, ours.target_net):
        parity.copy_weights(theirs.policy_net, cell)
    random.seed(0)
    expected = theirs.main(2)
    random.seed(0)
    np.testing.assert_allclose(ours.main(2), expected, rtol=1e-3)
    parity.assert_same_weights(theirs.target_net, ours.target_net, 1e-4)


def test_trained_image_and_hooks():
    """The optimizer trains an image; the losses are what modules keep of a forward pass."""
    theirs, ours = pair("style")
    net, cell = built(theirs, ours, "make_features")
    pictures, our_pictures = both_ways([R(i).rand(1, 3, 16, 16).astype(np.float32) for i in range(3)])
    statistics = [0.4, 0.5, 0.45], [0.2, 0.2, 0.2]
    expected = theirs.run_style_transfer(net, *statistics, *pictures, num_steps=2)[1]
    actual = ours.run_style_transfer(cell, *statistics, *our_pictures, num_steps=2)[1]
    np.testing.assert_allclose(actual, expected, rtol=2e-3)
    extractor, our_extractor = theirs.FeatureExtractor(net, ["2"]), ours.FeatureExtractor(cell, ["2"])
    net(pictures[0]), cell(our_pictures[0])
    extractor.remove(), our_extractor.remove()
    np.testing.assert_allclose(our_extractor.outputs["2"].asnumpy(), extractor.outputs["2"].numpy(), atol=1e-5)


def test_trainer_class(tmp_path):
    theirs, ours = pair("trainer")
    want, have = theirs.main(), ours.main()
    parity.copy_weights(want.model, have.model)
    expected, actual = want.fit(), have.fit()
    for key in ("train", "val", "grad_norm"):
        np.testing.assert_allclose(actual[key], expected[key], rtol=1e-3)
    have.save(str(tmp_path / "run/last.ckpt"))
    again = ours.main()
    again.load(str(tmp_path / "run/last.ckpt"))
    parity.assert_same_weights(want.model, again.model, 1e-3)
    assert again.global_step == want.global_step


def test_text_with_own_collate():
    theirs, ours = pair("mixed")
    words = theirs.build_vocab(theirs.TEXTS)
    net, cell = built(theirs, ours, "Classifier", len(words))
    expected = theirs.train(net, theirs.make_loader(theirs.TEXTS, words), epochs=2)
    np.testing.assert_allclose(ours.train(cell, ours.make_loader(ours.TEXTS, words), epochs=2), expected, rtol=2e-3)
    points, our_points = both_ways(R(0).randn(20, 2).astype(np.float32))
    for want, have in zip(theirs.kmeans(points), ours.kmeans(our_points), strict=True):
        np.testing.assert_allclose(have.asnumpy(), want.numpy(), atol=1e-5)


def test_imagenet_script_in_one_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["main.py", "--epochs", "1", "-j", "1"])
    ours = pair("imagenet_ddp")[1]
    ours.main()
    assert (tmp_path / "checkpoint.ckpt").exists() and ours.best_acc1 >= 0
    monkeypatch.setattr("sys.argv", ["main.py", "--epochs", "2", "-j", "1", "--resume", "checkpoint.ckpt"])
    ours.main()
