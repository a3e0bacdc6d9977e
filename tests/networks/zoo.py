"""Networks that TensorFlow users have, small, with random weights: Keras applications, a transformer, a U-Net, loops.

`build(name)` makes one, `frozen(model)` its frozen graph, `saved_model(model, folder)` its SavedModel. Nothing is
downloaded. All numbers follow from fixed seeds; normalisations get statistics and scales that do something, so that an
error in folding them shows.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.graph_pb2 import GraphDef

keras = tf.keras
layers = keras.layers

CLASSES = 10


# -- Keras applications ------------------------------------------------------------------------------------------------


def _application(name: str, *size: int, **more: Any) -> Callable[[], Any]:
    def make() -> Any:
        options = {"weights": None, "classes": CLASSES, "classifier_activation": "softmax", **more}
        return getattr(keras.applications, name)(input_shape=(*size, 3), **options)

    return make


# -- Networks of layers ------------------------------------------------------------------------------------------------


def transformer(depth: int = 2, length: int = 12, width: int = 32, heads: int = 4, words: int = 50) -> Any:
    """An encoder over word numbers: attention and a GELU feed-forward part in each of `depth` layers, then classes."""
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    x = layers.Embedding(words, width, name="words")(tokens)
    positions = layers.Embedding(length, width, name="positions")(tf.range(length)[None])
    x = x + positions
    for index in range(depth):
        attention = layers.MultiHeadAttention(heads, width // heads, name=f"layer{index}_attention")(x, x)
        x = layers.LayerNormalization(epsilon=1e-6, name=f"layer{index}_norm1")(x + attention)
        hidden = layers.Dense(4 * width, activation="gelu", name=f"layer{index}_wide")(x)
        hidden = layers.Dropout(0.1)(layers.Dense(width, name=f"layer{index}_narrow")(hidden))
        x = layers.LayerNormalization(epsilon=1e-6, name=f"layer{index}_norm2")(x + hidden)
    y = layers.Dense(CLASSES, activation="softmax", name="classes")(layers.GlobalAveragePooling1D()(x))
    return keras.Model(tokens, y, name="transformer")


def unet(height: int = 32, width: int = 48, base: int = 8) -> Any:
    """Two steps down, two up by transposed convolution, with shortcuts."""

    def block(x: Any, channels: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    image = keras.Input((height, width, 3), name="image")
    one = block(image, base)
    two = block(layers.MaxPooling2D()(one), 2 * base)
    x = block(layers.MaxPooling2D()(two), 4 * base)
    x = layers.Conv2DTranspose(2 * base, 2, strides=2, padding="same")(x)
    x = block(layers.Concatenate()([x, two]), 2 * base)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = block(layers.Concatenate()([x, one]), base)
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(x), name="unet")


def lstm_classifier(length: int = 9, width: int = 16, units: int = 12, words: int = 50) -> Any:
    """Two stacked LSTM layers over word numbers."""
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    x = layers.Embedding(words, width)(tokens)
    x = layers.LSTM(units, return_sequences=True)(x)
    x = layers.LSTM(units)(x)
    return keras.Model(tokens, layers.Dense(CLASSES, activation="softmax", name="classes")(x), name="lstm_classifier")


class Decoder(tf.Module):
    """Greedy decoding in a while loop: a recurrent state, a word a step, until the end word or `limit` words."""

    def __init__(self, words: int = 20, width: int = 12, limit: int = 8):
        super().__init__(name="decoder")
        rng = np.random.default_rng(5)

        def weight(name: str, *shape: int) -> tf.Variable:
            return tf.Variable(rng.normal(0, 0.6, shape).astype("float32"), name=name)

        self.embedding = weight("embedding", words, width)
        self.inner = weight("inner", width, width)
        self.outer = weight("outer", width, words)
        self.limit, self.end, self.width = limit, 0, width

    @tf.function
    def __call__(self, state: Any) -> Any:
        """The words (batch, steps made) and the last state (batch, width) of a first state (batch, width)."""
        batch = tf.shape(state)[0]
        written = tf.TensorArray(tf.int32, self.limit, element_shape=[None])
        step, word, done = tf.constant(0), tf.ones([batch], tf.int32), tf.zeros([batch], tf.bool)
        while step < self.limit and not tf.reduce_all(done):
            state = tf.tanh(tf.gather(self.embedding, word) + tf.matmul(state, self.inner))
            word = tf.argmax(tf.matmul(state, self.outer), axis=1, output_type=tf.int32)
            done = done | (word == self.end)
            written = written.write(step, word)
            step += 1
        return {"words": tf.transpose(written.stack()), "state": state}

    @property
    def signature(self) -> Any:
        """The traced function that is served."""
        return self.__call__.get_concrete_function(tf.TensorSpec([2, self.width], tf.float32, name="state"))


BUILDERS: Mapping[str, Callable[[], Any]] = {
    "MobileNetV2": _application("MobileNetV2", 64, 96, alpha=0.35),
    "ResNet50": _application("ResNet50", 64, 64),
    "ResNet152": _application("ResNet152", 32, 32),
    "InceptionV3": _application("InceptionV3", 96, 75),
    "DenseNet121": _application("DenseNet121", 64, 32),
    "EfficientNetB0": _application("EfficientNetB0", 64, 96),
    "VGG16": _application("VGG16", 32, 32),
    "Xception": _application("Xception", 71, 71),
    "NASNetMobile": _application("NASNetMobile", 64, 64),
    "ConvNeXtTiny": _application("ConvNeXtTiny", 64, 32),
    "Transformer": transformer,
    "UNet": unet,
    "LSTMClassifier": lstm_classifier,
    "Decoder": Decoder,
}

CONVOLUTIONAL = (
    "MobileNetV2", "ResNet50", "ResNet152", "InceptionV3", "DenseNet121", "EfficientNetB0", "VGG16", "Xception",
    "NASNetMobile", "ConvNeXtTiny", "UNet",
)  # fmt: skip
"""Networks of images, in which no transpose has a place."""


def build(name: str) -> Any:
    """The network of that name: a Keras model, or a tf.Module with a `signature`; the same numbers at each call."""
    keras.backend.clear_session()  # Keras counts layer names up
    keras.utils.set_random_seed(7)
    model = BUILDERS[name]()
    if isinstance(model, keras.Model):
        _randomise(model)
    return model


def _randomise(model: Any) -> None:
    """Scales, offsets and statistics that are not 0 and 1."""
    for variable in model.weights:
        rng = np.random.default_rng(zlib.crc32(variable.path.encode()))
        kind, shape = variable.path.rsplit("/", 1)[-1], variable.shape
        if kind in ("gamma", "moving_variance", "variance"):
            variable.assign(rng.uniform(0.6, 1.4, shape))
        elif kind in ("beta", "moving_mean", "mean", "bias"):
            variable.assign(rng.normal(0, 0.1, shape))


def concrete(model: Any) -> Any:
    """The traced inference function, traced once; a Keras model's has an unknown batch."""
    if not isinstance(model, keras.Model):
        return model.signature
    if model not in _traced:
        _traced[model] = _trace(model)
    return _traced[model]


_traced: Any = weakref.WeakKeyDictionary()


def _trace(model: Any) -> Any:
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in model.inputs]
    return tf.function(lambda *inputs: _call(model, inputs)).get_concrete_function(*specs)


def _call(model: Any, inputs: Any) -> Any:
    return model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)


def frozen(model: Any) -> GraphDef:
    """The inference graph with its weights as constants, as convert_variables_to_constants_v2 gives it."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    constants = convert_variables_to_constants_v2(concrete(model), lower_control_flow=False)
    return GraphDef.FromString(constants.graph.as_graph_def().SerializeToString())


def quickly_frozen(model: Any) -> GraphDef:
    """The same without TensorFlow's optimizer, which needs a minute for large networks: each weight a Const."""
    function = concrete(model)
    graph = GraphDef.FromString(function.graph.as_graph_def(add_shapes=True).SerializeToString())
    values = {inner.op.name: outer for outer, inner in function.graph.captures}
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    constants = {
        name: (variables[id(outer)].numpy() if id(outer) in variables else outer.numpy())
        for name, outer in values.items()
    }
    for node in graph.node:
        if node.name in constants:
            tensor = tf.make_tensor_proto(constants[node.name])
            node.op, shape = "Const", tensor.tensor_shape
            node.ClearField("attr")
            node.attr["dtype"].type = tensor.dtype
            node.attr["value"].tensor.ParseFromString(tensor.SerializeToString())
            node.attr["_output_shapes"].list.shape.add().ParseFromString(shape.SerializeToString())
        elif node.op == "ReadVariableOp":
            node.op = "Identity"
            node.attr["T"].type = node.attr["dtype"].type
            del node.attr["dtype"]
    return graph


def saved_model(model: Any, folder: Path | str, by_keras: bool = True) -> Path:
    """Writes the SavedModel with the signature `serving_default` into the folder and returns that.

    With `by_keras` a Keras model exports itself, which takes several times longer than TensorFlow takes.
    """
    if by_keras and isinstance(model, keras.Model):
        model.export(str(folder), verbose=False)
        return Path(folder)
    module = model
    if isinstance(model, keras.Model):
        module = tf.Module()
        module.variables_of_layers = [variable.value for variable in model.weights]
    tf.saved_model.save(module, str(folder), signatures=concrete(model))
    return Path(folder)


def feeds(model: Any, batch: int = 2, seed: int = 1) -> list[np.ndarray]:
    """One array for each input, of whatever the network takes."""
    rng = np.random.default_rng(seed)
    if not isinstance(model, keras.Model):
        return [rng.standard_normal(model.signature.inputs[0].shape).astype("float32")]
    found = []
    for tensor in model.inputs:
        shape = (batch, *tensor.shape[1:])
        whole = tf.as_dtype(tensor.dtype).is_integer
        found.append(
            rng.integers(0, 50, shape).astype("int32") if whole else rng.uniform(0, 2, shape).astype("float32")
        )
    return found


def expected(model: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """What TensorFlow computes of them, in the order of the function's outputs."""
    if not isinstance(model, keras.Model):
        results = model.signature(*map(tf.constant, arrays))
        return [value.numpy() for value in tf.nest.flatten(results)]
    return [value.numpy() for value in tf.nest.flatten(_call(model, arrays))]
