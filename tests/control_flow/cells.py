"""Recurrent cells as TensorFlow 1's own wrote their graphs, for `tf.compat.v1.nn.dynamic_rnn` (Keras 3 has none)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

v1 = tf.compat.v1


def _weight(name: str, *shape: int) -> Any:
    return v1.get_variable(name, shape, initializer=v1.random_normal_initializer(0, 0.5))


class _Cell:
    def __init__(self, units: int):
        self.units = self.output_size = units

    @property
    def state_size(self) -> Any:
        return self.units

    def zero_state(self, batch: Any, dtype: Any) -> Any:
        return tf.nest.map_structure(lambda size: tf.zeros(tf.stack([batch, size]), dtype), self.state_size)

    def __call__(self, x: Any, state: Any, scope: Any = None) -> Any:
        with v1.variable_scope(scope or "cell", reuse=v1.AUTO_REUSE):
            return self.call(x, state)

    def call(self, x: Any, state: Any) -> Any:
        raise NotImplementedError


class LSTM(_Cell):
    """BasicLSTMCell, and LSTMCell with peepholes and a projection."""

    def __init__(self, units: int, forget_bias: float = 1.0, peepholes: bool = False, projection: int | None = None):
        super().__init__(units)
        self.forget_bias, self.peepholes, self.projection = forget_bias, peepholes, projection
        self.output_size = projection or units

    @property
    def state_size(self) -> Any:
        return (self.units, self.output_size)

    def call(self, x: Any, state: Any) -> Any:
        cell, hidden = state
        units = self.units
        gates = tf.matmul(tf.concat([x, hidden], 1), _weight("kernel", x.shape[-1] + self.output_size, 4 * units))
        i, j, f, o = tf.split(tf.nn.bias_add(gates, _weight("bias", 4 * units)), 4, axis=1)
        if self.peepholes:
            forget, into, out = (_weight(f"w_{name}_diag", units) for name in "fio")
            f, i = f + forget * cell, i + into * cell
        cell = cell * tf.sigmoid(f + self.forget_bias) + tf.sigmoid(i) * tf.tanh(j)
        hidden = tf.tanh(cell) * tf.sigmoid(o + out * cell if self.peepholes else o)
        if self.projection:
            hidden = tf.matmul(hidden, _weight("projection", units, self.projection))
        return hidden, (cell, hidden)


class GRU(_Cell):
    """GRUCell: the reset gate is applied before the product, which MindSpore's layer cannot do."""

    def call(self, x: Any, state: Any) -> Any:
        units, size = self.units, x.shape[-1] + self.units
        gates = tf.matmul(tf.concat([x, state], 1), _weight("gates", size, 2 * units))
        reset, update = tf.split(tf.sigmoid(tf.nn.bias_add(gates, _weight("gates_bias", 2 * units))), 2, axis=1)
        new = tf.matmul(tf.concat([x, reset * state], 1), _weight("candidate", size, units))
        hidden = update * state + (1 - update) * tf.tanh(tf.nn.bias_add(new, _weight("candidate_bias", units)))
        return hidden, hidden


class RNN(_Cell):
    """BasicRNNCell."""

    def __init__(self, units: int, activation: Any = tf.tanh):
        super().__init__(units)
        self.activation = activation

    def call(self, x: Any, state: Any) -> Any:
        product = tf.matmul(tf.concat([x, state], 1), _weight("kernel", x.shape[-1] + self.units, self.units))
        hidden = self.activation(tf.nn.bias_add(product, _weight("bias", self.units)))
        return hidden, hidden


class Stack(_Cell):
    """MultiRNNCell."""

    def __init__(self, *cells: _Cell):
        super().__init__(cells[-1].output_size)
        self.cells = cells

    @property
    def state_size(self) -> Any:
        return tuple(cell.state_size for cell in self.cells)

    def call(self, x: Any, state: Any) -> Any:
        made = []
        for index, (cell, own) in enumerate(zip(self.cells, state, strict=True)):
            x, new = cell(x, own, f"cell_{index}")
            made.append(new)
        return x, tuple(made)
