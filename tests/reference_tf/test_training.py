"""Training, prediction and evaluation in TensorFlow: a few steps on a few pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from reference_tf.cli import main
from reference_tf.dataset import Form, convert
from reference_tf.errors import UserError
from reference_tf.npz import load_data
from reference_tf.posenet import OUTPUTS
from reference_tf.quiet import load_tensorflow
from reference_tf.scene import write_scene

load_tensorflow()

from reference_tf.training import _shuffled_batches, predict, train  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    scene, data = tmp_path_factory.mktemp("scene"), tmp_path_factory.mktemp("data")
    write_scene(scene, train=6, test=2)
    convert(scene, data, Form(), mindrecord=False)
    return data


def test_train_predict_and_evaluate(data, tmp_path):
    checkpoint = str(tmp_path / "trained.ckpt")
    arguments = ["train", "--data", str(data), "--steps", "8", "--batch-size", "3", "--checkpoint", checkpoint]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    losses = [float(line.split()[-1]) for line in result.output.splitlines() if line.startswith("step")]
    assert losses[-1] < 0.7 * losses[0]

    images, _, _ = load_data(data / "test.npz")
    outputs = predict(images, Path(checkpoint))
    assert [output.shape for output in outputs] == [(2, 3), (2, 4)] * 3
    np.savez(tmp_path / "predictions.npz", **dict(zip(OUTPUTS, outputs, strict=True)))

    printed = []
    for source in (["--checkpoint", checkpoint], ["--predictions", str(tmp_path / "predictions.npz")]):
        result = CliRunner().invoke(main, ["evaluate", "--data", str(data), *source], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        printed.append([line for line in result.output.splitlines() if "median" in line])
    assert printed[0] == printed[1]
    assert printed[0][0].startswith("2 test pictures: median ")
    assert "mean pose instead" in printed[0][1]


def test_batches_are_shuffled_anew_and_full():
    batches = _shuffled_batches(7, 3, np.random.default_rng(0))
    epochs = [np.concatenate([next(batches), next(batches)]) for _ in range(3)]
    for epoch in epochs:
        assert len(set(epoch)) == 6
    assert any((epoch != epochs[0]).any() for epoch in epochs[1:])


def test_mistakes(data, tmp_path):
    images, poses_x, poses_q = load_data(data / "train.npz")
    with pytest.raises(UserError, match="too few for batches of 7"):
        train(images, poses_x, poses_q, 1, 7)
    with pytest.raises(UserError, match="no such checkpoint"):
        predict(images, tmp_path / "nothing.ckpt")
