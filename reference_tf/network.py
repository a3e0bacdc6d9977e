"""A network as a chain of named layers, in TensorFlow 1 graph style.

This is the form in which many networks of the TensorFlow 1 years were written: a subclass lists its layers in
`setup`, each call of `conv`, `max_pool`, ... takes what was fed last and is found again under its name:

    class Tiny(Network):
        def setup(self):
            self.feed("images").conv(3, 3, 16, 1, 1, name="conv1").max_pool(2, 2, 2, 2, name="pool1")
            self.feed("conv1", "pool1")...

Variables are `NAME/weights` and `NAME/biases`. The last op of a layer with variables is created with name=NAME inside
the scope NAME, so it is called `NAME/NAME`, whatever its type; layers without variables are one op called NAME.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

DEFAULT_PADDING = "SAME"


class Network:
    """A chain of layers over a TensorFlow graph; all pictures are NHWC float32.

    A subclass builds its layers in `setup`. The layers go into the default graph of the moment, with the old
    reference variables (`VariableV2`) that the programs of that time have.

    Attributes:
        inputs: name -> tensor, what the first layers may be fed with.
        layers: name -> tensor, the inputs and the output of every layer, in the order of building.
        use_dropout: scalar placeholder, 1.0 unless fed. It belongs to the class; a network without dropout leaves
            it unused in the graph.
    """

    def __init__(self, inputs: Mapping[str, tf.Tensor], trainable: bool = True):
        import tensorflow.compat.v1 as tf1

        self._tf = tf1
        self.inputs = dict(inputs)
        self.layers: dict[str, tf.Tensor] = dict(inputs)
        self.trainable = trainable
        self.use_dropout = tf1.placeholder_with_default(tf1.constant(1.0), shape=[], name="use_dropout")
        self._fed: list[tf.Tensor] = []
        self.setup()

    def setup(self) -> None:
        """Builds the layers; each subclass has its own."""
        raise NotImplementedError("a network lists its layers in setup()")

    def feed(self, *names: str) -> Network:
        """Chooses the layers (or inputs) that the next layer reads.

        Raises: KeyError if there is no such layer yet, ValueError without a name.
        """
        if not names:
            raise ValueError("feed() needs the name of a layer")
        unknown = [name for name in names if name not in self.layers]
        if unknown:
            raise KeyError(f"no layer {unknown[0]!r}; there are {', '.join(self.layers)}")
        self._fed = [self.layers[name] for name in names]
        return self

    def get_output(self) -> tf.Tensor:
        """The output of the layer built last."""
        return self._fed[-1]

    def conv(
        self,
        kernel_height: int,
        kernel_width: int,
        channels: int,
        stride_height: int,
        stride_width: int,
        name: str,
        relu: bool = True,
        padding: str = DEFAULT_PADDING,
        group: int = 1,
        biased: bool = True,
    ) -> Network:
        """Convolution, bias, ReLU: [n, h, w, c_in] -> [n, h', w', channels].

        With group > 1 the input and the kernel [kh, kw, c_in / group, channels] are split on their last axis, each
        pair is convolved on its own, and the results are joined on channels.

        Raises: ValueError if c_in or channels is no multiple of group.
        """
        tf1 = self._tf
        x = self._only_input(name)
        channels_in = int(x.shape[-1])
        if channels_in % group or channels % group:
            raise ValueError(f"{name}: {channels_in} -> {channels} channels cannot be split into {group} groups")
        strides = [1, stride_height, stride_width, 1]
        with tf1.variable_scope(name) as scope:
            kernel = self._variable("weights", [kernel_height, kernel_width, channels_in // group, channels])
            if group == 1:
                y = tf1.nn.conv2d(x, kernel, strides, padding=padding)
            else:
                parts = zip(tf1.split(x, group, axis=3), tf1.split(kernel, group, axis=3), strict=True)
                y = tf1.concat([tf1.nn.conv2d(xi, ki, strides, padding=padding) for xi, ki in parts], axis=3)
            if biased:
                biases = self._variable("biases", [channels])
                y = tf1.nn.bias_add(y, biases, name=None if relu else scope.name)
            if relu:
                y = tf1.nn.relu(y, name=scope.name)
        return self._add(name, y)

    def max_pool(
        self,
        kernel_height: int,
        kernel_width: int,
        stride_height: int,
        stride_width: int,
        name: str,
        padding: str = DEFAULT_PADDING,
    ) -> Network:
        """Largest value of each window: [n, h, w, c] -> [n, h', w', c]."""
        window, strides = [1, kernel_height, kernel_width, 1], [1, stride_height, stride_width, 1]
        return self._add(name, self._tf.nn.max_pool(self._only_input(name), window, strides, padding, name=name))

    def avg_pool(
        self,
        kernel_height: int,
        kernel_width: int,
        stride_height: int,
        stride_width: int,
        name: str,
        padding: str = DEFAULT_PADDING,
    ) -> Network:
        """Mean of each window (padding is not counted): [n, h, w, c] -> [n, h', w', c]."""
        window, strides = [1, kernel_height, kernel_width, 1], [1, stride_height, stride_width, 1]
        return self._add(name, self._tf.nn.avg_pool(self._only_input(name), window, strides, padding, name=name))

    def lrn(self, radius: int, alpha: float, beta: float, name: str, bias: float = 1.0) -> Network:
        """Local response normalisation over 2 * radius + 1 neighbouring channels; the shape stays."""
        y = self._tf.nn.local_response_normalization(
            self._only_input(name), depth_radius=radius, alpha=alpha, beta=beta, bias=bias, name=name
        )
        return self._add(name, y)

    def concat(self, axis: int, name: str) -> Network:
        """Joins everything that was fed along `axis`."""
        return self._add(name, self._tf.concat(self._fed, axis=axis, name=name))

    def fc(self, outputs: int, name: str, relu: bool = True) -> Network:
        """Dense layer: [n, c] or [n, h, w, c] (flattened in this order to h * w * c) -> [n, outputs]."""
        tf1 = self._tf
        x = self._only_input(name)
        with tf1.variable_scope(name) as scope:
            if x.shape.rank == 4:
                x = tf1.reshape(x, [-1, x.shape[1:].num_elements()])
            weights = self._variable("weights", [int(x.shape[-1]), outputs])
            biases = self._variable("biases", [outputs])
            dense = tf1.nn.relu_layer if relu else tf1.nn.xw_plus_b
            y = dense(x, weights, biases, name=scope.name)
        return self._add(name, y)

    def _variable(self, name: str, shape: Sequence[int]) -> tf.Variable:
        """A float32 variable of the open scope, with get_variable's default initializer: glorot_uniform, biases too."""
        return self._tf.get_variable(name, shape=shape, trainable=self.trainable, use_resource=False)

    def _only_input(self, name: str) -> tf.Tensor:
        """The one tensor that was fed."""
        if len(self._fed) != 1:
            raise ValueError(f"{name} reads one layer, {len(self._fed)} were fed")
        return self._fed[0]

    def _add(self, name: str, tensor: tf.Tensor) -> Network:
        """Files the output of a new layer under its name and feeds it to the next."""
        if name in self.layers:
            raise ValueError(f"there is a layer {name!r} already")
        self.layers[name] = tensor
        self._fed = [tensor]
        return self
