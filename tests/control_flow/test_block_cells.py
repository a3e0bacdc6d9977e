"""TensorFlow's fused recurrent ops against MindSpore, through the public path."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from loops import frames, v1

random = np.random.default_rng(4)
BATCH, WIDTH, UNITS, STEPS = 2, 3, 4, 5


def values(*shape):
    return random.normal(0, 0.7, shape).astype("float32")


X, SEQUENCE = values(BATCH, WIDTH), values(STEPS, BATCH, WIDTH)
CELL, HIDDEN = values(BATCH, UNITS), values(BATCH, UNITS)
KERNEL, BIAS = values(WIDTH + UNITS, 4 * UNITS), values(4 * UNITS)
PEEPHOLES = dict(zip(("wci", "wcf", "wco"), (values(UNITS) for _ in range(3)), strict=True))


def placeholders(*arrays):
    return [v1.placeholder(tf.float32, array.shape, name=f"x{index}") for index, array in enumerate(arrays)]


@pytest.mark.parametrize(("peepholes", "clip"), [(False, -1.0), (True, 0.4)], ids=["plain", "peepholes"])
def test_lstm_block_cell(peepholes, clip):
    def build():
        x, cell, hidden = inputs = placeholders(X, CELL, HIDDEN)
        made = tf.raw_ops.LSTMBlockCell(
            x=x, cs_prev=cell, h_prev=hidden, w=KERNEL, b=BIAS, **PEEPHOLES, use_peephole=peepholes, cell_clip=clip
        )
        return inputs, list(made)

    run = frames(build, X, CELL, HIDDEN)
    assert run.differs() < 4e-6 and run.differs("graph") < 4e-6


def test_gru_block_cell():
    gates, candidate, bias, other = (
        values(WIDTH + UNITS, 2 * UNITS), values(WIDTH + UNITS, UNITS), values(2 * UNITS), values(UNITS)
    )  # fmt: skip

    def build():
        x, hidden = inputs = placeholders(X, HIDDEN)
        made = tf.raw_ops.GRUBlockCell(x=x, h_prev=hidden, w_ru=gates, w_c=candidate, b_ru=bias, b_c=other)
        return inputs, list(made)

    run = frames(build, X, HIDDEN)
    assert run.differs() < 4e-6 and run.differs("graph") < 4e-6


@pytest.mark.parametrize("second", [False, True], ids=["BlockLSTM", "BlockLSTMV2"])
@pytest.mark.parametrize("length", [STEPS, 3])
def test_block_lstm(second, length):
    """All that the op gives, by the cell; its sequence alone, by nn.LSTM."""

    def make(every):
        def build():
            x, cell, hidden = inputs = placeholders(SEQUENCE, CELL, HIDDEN)
            op = tf.raw_ops.BlockLSTMV2 if second else tf.raw_ops.BlockLSTM
            more = {} if second else {"forget_bias": 0.8}
            made = op(
                seq_len_max=tf.constant(length, tf.int64), x=x, cs_prev=cell, h_prev=hidden, w=KERNEL, b=BIAS,
                **PEEPHOLES, cell_clip=-1.0, use_peephole=False, **more,
            )  # fmt: skip
            whole = list(made) if length == STEPS else [made.cs, made.h]  # TensorFlow leaves the rest unset
            return inputs, whole if every else [made.h * 1.0]

        return build

    run = frames(make(True), SEQUENCE, CELL, HIDDEN)
    assert "tf_block_lstm(" in run.code
    assert run.differs() < 4e-6 and run.differs("graph") < 4e-6
    run = frames(make(False), SEQUENCE, CELL, HIDDEN)
    assert ("nn.LSTM(3, 4)" in run.code) == (length == STEPS)
    assert run.differs() < 4e-6 and run.differs("graph") < 4e-6
