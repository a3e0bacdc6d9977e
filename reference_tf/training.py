"""Training and prediction in a TensorFlow 1 session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from reference_tf.errors import UserError
from reference_tf.posenet import build_training_graph
from reference_tf.weights import initialise


def train(
    images: np.ndarray,
    poses_x: np.ndarray,
    poses_q: np.ndarray,
    steps: int,
    batch_size: int,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> list[float]:
    """Trains PoseNet from random weights.

    Args:
        images, poses_x, poses_q: the training set, [n, 224, 224, 3], [n, 3], [n, 4], float32.
        steps: number of batches to train on; the set is shuffled anew each time it is used up.
        batch_size: pictures per step; a rest that is smaller is left out until the next shuffle.
        seed: of the weights and the shuffling.
        checkpoint: prefix of the checkpoint to save, None for none.
        progress: called after each step with its number, from 1, and its loss.

    Returns: the loss of each step.
    Raises: UserError if there are fewer pictures than `batch_size`, or if training diverges.
    """
    import tensorflow.compat.v1 as tf1

    if len(images) < batch_size:
        raise UserError(f"{len(images)} pictures are too few for batches of {batch_size}")
    training = build_training_graph(batch=None)
    order = _shuffled_batches(len(images), batch_size, np.random.default_rng(seed))
    losses = []
    with tf1.Session(graph=training.graph) as session:
        initialise(session, training, seed)
        for step in range(1, steps + 1):
            rows = next(order)
            feeds = {training.images: images[rows], training.poses_x: poses_x[rows], training.poses_q: poses_q[rows]}
            _, loss = session.run([training.train, training.loss], feeds)
            if not np.isfinite(loss):
                raise UserError(
                    f"the loss is {loss} at step {step}: training has diverged; are the values of the data sensible?"
                )
            losses.append(float(loss))
            progress(step, losses[-1])
        if checkpoint is not None:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            training.saver.save(session, str(checkpoint.absolute()))
    return losses


def predict(
    images: np.ndarray, checkpoint: Path, batch_size: int = 16, progress: Callable[[int], None] = lambda done: None
) -> list[np.ndarray]:
    """The six outputs, [n, 3] and [n, 4] alternating, of a trained network.

    Args:
        images: [n, 224, 224, 3], float32, mean subtracted.
        checkpoint: prefix of the checkpoint.
        batch_size: pictures per run.
        progress: called with the number of pictures done.

    Raises: UserError if there is no such checkpoint, or if it is not PoseNet's.
    """
    import tensorflow.compat.v1 as tf1

    if not tf1.train.checkpoint_exists(str(checkpoint)):
        raise UserError(f"{checkpoint}: no such checkpoint; give its prefix, without .index or .data")
    training = build_training_graph(batch=None)
    batches = []
    with tf1.Session(graph=training.graph) as session:
        try:
            training.saver.restore(session, str(checkpoint.absolute()))
        except (tf1.errors.OpError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{checkpoint}: not a checkpoint of this network: {reason}") from error
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            batches.append(session.run(training.outputs, {training.images: batch}))
            progress(start + len(batch))
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _shuffled_batches(count: int, batch_size: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Row numbers [batch_size], for ever; each epoch in another order, without its rest."""
    while True:
        order = generator.permutation(count)
        for start in range(0, count - batch_size + 1, batch_size):
            yield order[start : start + batch_size]
