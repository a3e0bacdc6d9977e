"""Learning rates that follow the global step."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from helpers import dense, placeholder
from training_harness import assert_trains_like_tensorflow

v1 = tf.compat.v1
train = v1.train


def regression(rate_of: Any, step_by: int = 1) -> dict[str, Any]:
    x, y = placeholder([None, 4], "x"), placeholder([None, 2], "y")
    loss = tf.reduce_mean(tf.square(dense(x, 2, "out") - y))
    step = train.get_or_create_global_step()
    rate = rate_of(step)
    rate = rate() if callable(rate) else rate
    return {"loss": loss, "rate": rate, "train": train.MomentumOptimizer(rate, 0.9).minimize(loss, global_step=step)}


def warm_up(step):
    part = tf.cast(step, tf.float32) / 4.0
    return tf.where(step < 4, 0.1 * part, 0.1 * tf.pow(0.5, (tf.cast(step, tf.float32) - 4.0) / 3.0))


def own_formula(step):
    number = tf.cast(step + 1, tf.float32)
    return 64**-0.5 * tf.minimum(number**-0.5, number * 4**-1.5)


SCHEDULES = {
    "exponential": lambda step: train.exponential_decay(0.1, step, 3, 0.9),
    "staircase": lambda step: train.exponential_decay(0.1, step, 3, 0.5, staircase=True),
    "natural_exp": lambda step: train.natural_exp_decay(0.1, step, 3, 0.4),
    "inverse_time": lambda step: train.inverse_time_decay(0.1, step, 3, 0.4, staircase=True),
    "polynomial": lambda step: train.polynomial_decay(0.1, step, 6, 0.01, power=2.0),
    "polynomial_cycle": lambda step: train.polynomial_decay(0.1, step, 4, 0.01, power=0.5, cycle=True),
    "cosine": lambda step: train.cosine_decay(0.1, step, 6, alpha=0.1),
    "linear_cosine": lambda step: train.linear_cosine_decay(0.1, step, 6),
    "piecewise": lambda step: train.piecewise_constant(step, [2, 5], [0.1, 0.05, 0.01]),
    "restarts": lambda step: train.cosine_decay_restarts(0.1, step, 3, t_mul=2.0, m_mul=0.9, alpha=0.1),
    "warm_up_by_cond": lambda step: tf.cond(step < 3, lambda: 0.02 * tf.cast(step, tf.float32), lambda: 0.1),
    "warm_up": warm_up,
    "own_formula": own_formula,
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name, tmp_path):
    conversion = assert_trains_like_tensorflow(lambda: regression(SCHEDULES[name]), tmp_path)
    assert "class LearningRate(" in conversion.code
