"""Whole networks, as SavedModels and frozen: converted with no hand edit, equal to TensorFlow, nothing transposed."""

from __future__ import annotations

import re

import pytest
import zoo

import tf2ms

BAR = 1e-4  # of the largest value
NETWORKS = (*zoo.CONVOLUTIONAL, "Transformer", "LSTMClassifier", "Decoder")
QUICK = ("MobileNetV2", "UNet", "Transformer")
"""Networks whose SavedModel is written by Keras itself; that of the others by TensorFlow, which is quicker."""


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """(name, model, inputs, what TensorFlow computes)."""
    model = zoo.build(request.param)
    arrays = zoo.feeds(model)
    yield request.param, model, arrays, zoo.expected(model, arrays)


def transposes(code: str) -> list[str]:
    """The transposes in the network."""
    return re.findall(r"ops\.transpose\(|(?<!ops)\.transpose\(", code)


def check(conversion, arrays, expected) -> None:
    names = [item["tensor"] for item in conversion.map["inputs"]]
    results = conversion.run(dict(zip(names, arrays, strict=True)))
    for actual, wanted in zip(results, expected, strict=True):
        assert actual.shape == wanted.shape and abs(actual - wanted).max() <= BAR * abs(wanted).max()


def test_saved_model(network, tmp_path):
    name, model, arrays, expected = network
    folder = zoo.saved_model(model, tmp_path / name, by_keras=name in QUICK)
    conversion = tf2ms.convert(folder)
    check(conversion, arrays, expected)
    if name not in zoo.CONVOLUTIONAL:
        return
    assert not transposes(conversion.code)
    kept = tf2ms.convert(folder, keep_nhwc=True)
    images = sum(array.ndim == 4 for array in (*arrays, *expected))
    assert len(transposes(kept.code)) == images, "one at each boundary"
    if name in QUICK:
        check(kept, arrays, expected)


def test_frozen_graph(network):
    name, model, arrays, expected = network
    if name in ("ResNet152", "NASNetMobile", "DenseNet121", "InceptionV3", "Xception"):
        graph = zoo.quickly_frozen(model)
    else:
        graph = zoo.frozen(model)
    conversion = tf2ms.convert(graph)
    check(conversion, arrays, expected)
    assert name not in zoo.CONVOLUTIONAL or not transposes(conversion.code)
