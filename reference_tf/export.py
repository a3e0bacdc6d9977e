"""Everything that a TensorFlow user may have of PoseNet, written into one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reference_tf.posenet import TrainingGraph, build_training_graph
from reference_tf.weights import as_layer_dict, initialise

if TYPE_CHECKING:
    import tensorflow as tf

CHECKPOINT = "posenet.ckpt"


def export(
    folder: Path,
    batch: int | None = 75,
    checkpoint: bool = True,
    seed: int = 0,
    progress: Callable[[str], None] = lambda name: None,
) -> list[Path]:
    """Writes the training graph in every form, and with `checkpoint` the weights as well.

    Args:
        folder: made if it is missing; files of the same names in it are replaced.
        batch: the placeholders' batch size, None for any.
        checkpoint: also write the files that hold weights: `posenet.ckpt.*`, `frozen.pb`, `posenet.npy`.
        seed: of the random weights.
        progress: called with the name of each file before it is written.

    Returns: what was written, in order; of the checkpoint, its prefix.
    Raises: OSError if the folder cannot be written.
    """
    import tensorflow.compat.v1 as tf1

    folder.mkdir(parents=True, exist_ok=True)
    training = build_training_graph(batch)
    written = []

    def start(name: str) -> str:
        progress(name)
        written.append(folder / name)
        return str(folder / name)

    tf1.io.write_graph(training.graph, *_split(start("graph.pbtxt")), as_text=True)
    tf1.io.write_graph(training.graph, *_split(start("graph.pb")), as_text=False)
    with_shapes = training.graph.as_graph_def(add_shapes=True)
    tf1.io.write_graph(with_shapes, *_split(start("graph_shapes.pb")), as_text=False)
    _write_log(Path(start("logs")), training)
    with training.graph.as_default():
        training.saver.export_meta_graph(start("posenet.meta"))

    if checkpoint:
        with tf1.Session(graph=training.graph) as session:
            initialise(session, training, seed)
            training.saver.save(session, start(CHECKPOINT), write_meta_graph=False)
            tf1.io.write_graph(freeze(session, training), *_split(start("frozen.pb")), as_text=False)
            # A dict in an array of no dimensions, which np.load(..., allow_pickle=True).item() gives back.
            np.save(start("posenet.npy"), as_layer_dict(session, training), allow_pickle=True)  # type: ignore[arg-type]
    return written


def freeze(session: tf.compat.v1.Session, training: TrainingGraph) -> tf.compat.v1.GraphDef:
    """The inference graph, images to the six outputs, with the session's weights as constants."""
    import tensorflow.compat.v1 as tf1

    outputs = [tensor.op.name for tensor in training.outputs]
    return tf1.graph_util.convert_variables_to_constants(session, training.graph.as_graph_def(), outputs)


def _write_log(folder: Path, training: TrainingGraph) -> None:
    """A TensorBoard log with the graph; one event file, those of earlier runs are removed."""
    import tensorflow.compat.v1 as tf1

    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    with training.graph.as_default():
        tf1.summary.FileWriter(str(folder), training.graph).close()


def _split(path: str) -> tuple[str, str]:
    """Folder and name, the form in which `write_graph` takes a path."""
    return str(Path(path).parent), Path(path).name
