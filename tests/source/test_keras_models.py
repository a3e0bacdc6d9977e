"""Keras models from files and from memory, and traced functions."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import tf2ms
from tf2ms.errors import SourceError
from tf2ms.source import read_source


@pytest.fixture(scope="module")
def model(tf):
    keras = tf.keras
    keras.utils.set_random_seed(3)
    image = keras.Input((8, 10, 3), name="image")
    scale = keras.Input((4,), name="scale")
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(image)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.Multiply()([x, scale])
    return keras.Model([image, scale], keras.layers.Dense(2, name="head")(x), name="scorer")


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 8, 10, 3)).astype("float32"), rng.normal(size=(2, 4)).astype("float32")


def check(conversion, model, arrays):
    (actual,) = conversion.run(dict(zip(("image", "scale"), arrays, strict=True)))
    expected = model(list(arrays), training=False).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("name", ["scorer.keras", "scorer.h5", "disguised.bin"])
def test_files(model, arrays, tmp_path, name):
    path = tmp_path / name
    model.save(tmp_path / "scorer.h5" if name == "disguised.bin" else path)
    if name == "disguised.bin":
        (tmp_path / "scorer.h5").rename(path)
    source = read_source(path)
    assert source.kind == "Keras model"
    conversion = tf2ms.convert(path)
    assert {item["variable"] for item in conversion.map["parameters"]} >= {"first/kernel", "norm/gamma", "head/bias"}
    check(conversion, model, arrays)


def test_in_memory(model, arrays, tf):
    conversion = tf2ms.convert(model)
    assert conversion.name == "Scorer"
    check(conversion, model, arrays)
    specs = [tf.TensorSpec([2, 8, 10, 3], name="image"), tf.TensorSpec([2, 4], name="scale")]
    function = tf.function(lambda image, scale: model([image, scale], training=False))
    check(tf2ms.convert(function.get_concrete_function(*specs)), model, arrays)
    with pytest.raises(SourceError, match="a graph for each shape"):
        tf2ms.convert(function)
    with pytest.raises(SourceError, match="has no signatures"):
        tf2ms.convert(model, signature="serving_default")


def test_weights_alone(model, tmp_path):
    model.save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(SourceError, match="weights without a model: build the model in Python"):
        read_source(tmp_path / "only.weights.h5")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_code_in_a_file_is_not_run(tf, tmp_path, suffix):
    path = tmp_path / f"lambda.{suffix}"
    x = tf.keras.Input((3,))
    tf.keras.Model(x, tf.keras.layers.Lambda(lambda v: v * 2, name="twice")(x)).save(path)
    with pytest.raises(SourceError, match=r"holds Python code \(.*\), which is not run"):
        read_source(path)


def test_own_classes_are_named(tf, tmp_path):
    @tf.keras.utils.register_keras_serializable("mine")
    class Doubled(tf.keras.layers.Layer):
        def call(self, x):
            return 2 * x

    x = tf.keras.Input((3,))
    tf.keras.Model(x, Doubled()(x)).save(tmp_path / "own.keras")
    with pytest.raises(SourceError, match=r"needs classes that are not Keras's own \(.*Doubled"):
        read_source(tmp_path / "own.keras")


def test_modules_of_the_machine_are_not_imported(model, tmp_path):
    model.save(tmp_path / "good.keras")
    with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["layers"][0] |= {"module": "subprocess", "class_name": "Popen"}
                data = json.dumps(config).encode()
            bad.writestr(name, data)
    with pytest.raises(SourceError, match=r"not Keras's own \(subprocess.Popen\)"):
        read_source(tmp_path / "bad.keras")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_damaged_files(model, tmp_path, suffix):
    model.save(tmp_path / f"whole.{suffix}")
    data = (tmp_path / f"whole.{suffix}").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match=r"damaged|cannot load|zip archive"):
        read_source(path)
