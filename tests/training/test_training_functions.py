"""Training steps that are functions of TensorFlow 2, from a SavedModel: Keras's layers, losses and optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import relative

import tf2ms
from tf2ms.verify.runner import load_module

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 20)),
    "momentum": lambda: keras.optimizers.SGD(0.05, 0.9, clipnorm=1.0),
    "adam_w": lambda: keras.optimizers.AdamW(
        keras.optimizers.schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.02, 0.01])
    ),
}


def _saved(make: Callable[[], Any], path: str) -> Any:
    """The step of a small classifier, saved with a signature `train`."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((6, 6, 2)), layers.Conv2D(4, 3, activation="sigmoid"), layers.Flatten(), layers.Dense(5)]
    )
    loss_of, optimizer = keras.losses.SparseCategoricalCrossentropy(from_logits=True), make()
    optimizer.build(model.trainable_variables)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 6, 6, 2), tf.float32, name="x"),
            tf.TensorSpec((None,), tf.int32, name="y"),
        ]
    )
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return {"loss": loss}

    module = tf.Module()
    module.model, module.step, module.held = model, step, optimizer.variables
    tf.saved_model.save(module, path, signatures={"train": step})
    return module


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_of_keras(name, tmp_path):
    import mindspore as ms

    path = str(tmp_path / "saved")
    module = _saved(OPTIMIZERS[name], path)
    loss = next(node for node in _nodes(path) if node.endswith("div_no_nan") and "gradient" not in node)
    conversion = tf2ms.convert(path, signature="train", loss=loss)
    assert 'nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")' in conversion.code, conversion.code
    assert conversion.weights is not None
    generated = load_module(conversion.code, conversion.stem)
    network = generated.create_network()
    missing, _ = ms.load_param_into_net(network, {n: ms.Parameter(ms.Tensor(v)) for n, v in conversion.weights.items()})
    assert not missing
    rate = [0.05] if name == "momentum" else []  # which Keras holds in a variable that the graph does not start
    train_step = generated.create_train_step(network, *rate)
    random = np.random.RandomState(0)
    for _ in range(4):
        x, y = random.rand(3, 6, 6, 2).astype(np.float32), random.randint(0, 5, 3).astype(np.int32)
        expected = module.step(tf.constant(x), tf.constant(y))["loss"].numpy()
        actual = train_step(ms.Tensor(x.transpose(0, 3, 1, 2).copy()), ms.Tensor(y)).asnumpy()
        assert relative(actual, expected) < 1e-5
    kernel = module.model.layers[0].kernel.numpy().transpose(3, 2, 0, 1)
    assert relative(network.trainable_params()[0].asnumpy(), kernel) < 1e-5


def _nodes(path: str) -> list[str]:
    from tf2ms.source import read_source

    return [node.name for node in read_source(path, "train").graph_def.node]
