"""The command line: `python -m reference_tf export | data | train | evaluate`.

Thin: parses arguments, calls the module that does the work, prints. TensorFlow and MindSpore take seconds to import,
so each is imported by the function that needs it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from reference_tf.errors import UserError
from reference_tf.quiet import load_tensorflow

FOLDER = click.Path(file_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)
EXISTING = click.Path(exists=True, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
AT_LEAST_1 = click.IntRange(min=1)
PRINT_EVERY = 10


def examples(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds lines of examples to a command's help, kept as they stand."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        lines = "\n".join(f"  {line}" for line in text.splitlines())
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n\b\nExamples:\n{lines}"
        return function

    return decorate


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turns what the user can mend into one line and exit code 1."""
    try:
        yield
    except UserError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from error


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function (what, done, total) that shows the progress, one line for each `what`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        yield show


class BatchSize(click.ParamType):
    """A batch size of 1 or more, or `none` for any."""

    name = "integer|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Text to int, or to the word "none" (None itself means to click that nothing was given)."""
        if isinstance(value, int) or value == "none":
            return value
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither a number of 1 or more nor 'none'", param, ctx)
        return int(value)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """PoseNet in TensorFlow 1 graph style: the reference that a converted MindSpore script is compared with."""


@main.command()
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder to write into.")
@click.option("--batch", type=BatchSize(), default=75, show_default=True, help="Batch size of the placeholders.")
@click.option("--checkpoint/--no-checkpoint", default=True, show_default=True, help="Also write weights.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random weights.")
@examples(
    "python -m reference_tf export -o out/tf\npython -m reference_tf export -o out/tf --batch none --no-checkpoint"
)
def export(output: Path, batch: int | str, checkpoint: bool, seed: int) -> None:
    """Writes the training graph in every form that a user may have, and random weights for it.

    \b
    graph.pbtxt, graph.pb  training graph, without shapes
    graph_shapes.pb        the same with shapes
    logs/                  TensorBoard log
    posenet.meta           MetaGraph
    posenet.ckpt.*         checkpoint
    frozen.pb              inference graph with the weights in it
    posenet.npy            weights as {layer: {"weights", "biases"}}
    """
    console = Console()
    with readable_errors(), console.status("starting TensorFlow") as status:
        load_tensorflow()
        from reference_tf.export import export as write

        written = write(
            output,
            batch=None if batch == "none" else int(batch),
            checkpoint=checkpoint,
            seed=seed,
            progress=lambda name: status.update(f"writing {name}"),
        )
    _report(console, written, output)


@main.command()
@click.option("--synthetic", type=AT_LEAST_1, metavar="N", help="Render a scene with N training pictures.")
@click.option("--cambridge", type=EXISTING_FOLDER, help="Convert this Cambridge Landmarks folder.")
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder to write into.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the rendered scene.")
@click.option("--columns", default="images,poses_x,poses_q", show_default=True, help="Names of the three columns.")
@click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), default="NCHW", show_default=True)
@click.option("--mindrecord/--no-mindrecord", default=True, show_default=True, help="Also write MindRecord files.")
@examples(
    "python -m reference_tf data --synthetic 300 -o out/scene\n"
    "python -m reference_tf data --cambridge out/scene -o out/data\n"
    "python -m reference_tf data --cambridge KingsCollege -o out/data --columns images,xyz,wpqr"
)
def data(
    synthetic: int | None,
    cambridge: Path | None,
    output: Path,
    seed: int,
    columns: str,
    layout: str,
    mindrecord: bool,
) -> None:
    """Renders a synthetic scene, or converts a scene to what a converted script trains on.

    With --synthetic: a folder in the Cambridge Landmarks format, with a fifth as many test pictures as training
    pictures. With --cambridge: train and test as .npz and .mindrecord, 224 x 224 pixels, BGR, the training set's mean
    picture (mean.npy) subtracted, float32.
    """
    if (synthetic is None) == (cambridge is None):
        raise click.UsageError("give either --synthetic N or --cambridge FOLDER")
    console = Console()
    with readable_errors(), progress_bar(console) as show:
        if cambridge is not None:
            from reference_tf.dataset import Form, convert

            written = convert(cambridge, output, Form.parse(columns, layout), mindrecord, show)
        else:
            from reference_tf.scene import write_scene

            written = write_scene(output, synthetic or 0, -(-(synthetic or 0) // 5), seed, show)
    _report(console, written, output)


@main.command()
@click.option("--data", "source", type=EXISTING, required=True, help=".npz file, or a folder with train.npz.")
@click.option("--steps", type=AT_LEAST_1, help="Number of batches to train on.")
@click.option("--epochs", type=AT_LEAST_1, help="The same, in passes over the training set.")
@click.option("--batch-size", type=AT_LEAST_1, default=8, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of weights and shuffling.")
@click.option("--checkpoint", type=PATH, metavar="PREFIX", help="Save the trained network under this prefix.")
@examples("python -m reference_tf train --data out/data --steps 150 --checkpoint out/tf/trained.ckpt")
def train(
    source: Path, steps: int | None, epochs: int | None, batch_size: int, seed: int, checkpoint: Path | None
) -> None:
    """Trains PoseNet from random weights in TensorFlow and prints the loss."""
    if (steps is None) == (epochs is None):
        raise click.UsageError("give either --steps or --epochs")
    console = Console(highlight=False)
    with readable_errors():
        from reference_tf.npz import load_data

        images, poses_x, poses_q = load_data(source / "train.npz" if source.is_dir() else source)
        total = steps or (epochs or 0) * (len(images) // batch_size)
        load_tensorflow()
        from reference_tf.training import train as run

        with progress_bar(console) as show:
            recent: list[float] = []

            def after_step(step: int, loss: float) -> None:
                recent.append(loss)
                if step == 1 or step % PRINT_EVERY == 0 or step == total:
                    console.print(f"step {step:4d}  loss {np.mean(recent):9.2f}")
                    recent.clear()
                show("training", step, total)

            console.print(f"{len(images)} pictures, batches of {batch_size}; losses are means since the last line")
            run(images, poses_x, poses_q, total, batch_size, seed, checkpoint, after_step)
    if checkpoint is not None:
        console.print(f"saved {checkpoint}", soft_wrap=True)


@main.command()
@click.option("--data", "source", type=EXISTING, required=True, help=".npz file, or a folder with test.npz.")
@click.option("--checkpoint", type=PATH, metavar="PREFIX", help="Predict with this TensorFlow checkpoint.")
@click.option("--predictions", type=EXISTING, help="Evaluate this .npz: the six outputs of any script, in order.")
@examples(
    "python -m reference_tf evaluate --data out/data --checkpoint out/tf/trained.ckpt\n"
    "python -m reference_tf evaluate --data out/data/test.npz --predictions out/predictions.npz"
)
def evaluate(source: Path, checkpoint: Path | None, predictions: Path | None) -> None:
    """Prints the median errors of head 3 on the test set, in metres and degrees.

    If the test set lies beside a train.npz, also those of always answering with the mean pose of the training set:
    what a network achieves that does not look at the pictures.
    """
    if (checkpoint is None) == (predictions is None):
        raise click.UsageError("give either --checkpoint or --predictions")
    console = Console(highlight=False)
    with readable_errors():
        from reference_tf.metrics import mean_pose, pose_errors
        from reference_tf.npz import load_data, load_poses, load_predictions

        test = source / "test.npz" if source.is_dir() else source
        if predictions is not None:
            poses_x, poses_q = load_poses(test)
            xyz, wpqr = load_predictions(predictions, len(poses_x))
        else:
            assert checkpoint is not None
            images, poses_x, poses_q = load_data(test)
            load_tensorflow()
            from reference_tf.training import predict

            with progress_bar(console) as show:
                outputs = predict(images, checkpoint, progress=lambda done: show("test pictures", done, len(images)))
            xyz, wpqr = outputs[-2:]
        console.print(f"{len(poses_x)} test pictures: {pose_errors(xyz, wpqr, poses_x, poses_q)}")

        train_set = test.with_name("train.npz")
        if train_set.is_file() and train_set != test:
            x, q = mean_pose(*load_poses(train_set))
            without_looking = pose_errors(
                np.tile(x, (len(poses_x), 1)), np.tile(q, (len(poses_x), 1)), poses_x, poses_q
            )
            console.print(f"the training set's mean pose instead: {without_looking}")


def _report(console: Console, written: list[Path], folder: Path) -> None:
    """Says which files were written where."""
    console.print(f"wrote {', '.join(path.name for path in written)} to {folder}", soft_wrap=True, highlight=False)
