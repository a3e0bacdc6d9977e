"""The generated PoseNet script against TensorFlow on the same graph, weights and data: outputs and train steps.

    python -m benchmarks.train_step [--batch-sizes 1 2 8 32] [--rounds 5] [--steps 3] [--cores N]

Each side runs in a process of its own, on the same cores, and takes turns with the other, a few runs at a time, so that
the ratio holds when the machine's speed drifts. Printed are medians in milliseconds and the median of the ratios round
by round, the first run (MindSpore compiles there) and peak memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 2, 8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="runs in a row in each round")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="that each side may use")
    parser.add_argument("--worker", choices=("tensorflow", "mindspore"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.sched_setaffinity(0, range(args.cores))  # inherited by the workers
    if args.worker:
        (run_tensorflow if args.worker == "tensorflow" else run_mindspore)(args.folder, args.batch_sizes[0])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quiet = {"stdout": subprocess.DEVNULL, "check": True}
        subprocess.run([sys.executable, "-m", "reference_tf", "export", "-o", name, "--batch", "none"], **quiet)
        convert = [sys.executable, "-m", "tf2ms", "convert", str(folder / "logs"), "-o", name, "--name", "PoseNet"]
        subprocess.run([*convert, "--checkpoint", str(folder / "posenet.ckpt")], **quiet)
        print(f"{'batch':>5} {'':<8} {'':<11} {'ms':>6} {'first s':>8} {'peak MB':>8} {'ratio':>6}")
        for batch in args.batch_sizes:
            measure(folder, batch, args.rounds, args.steps)


SIDES = ("tensorflow", "mindspore")
KINDS = ("forward", "step")


def measure(folder: Path, batch: int, rounds: int, steps: int) -> None:
    """Prints the rows of one batch size: the outputs of the network, then the whole train step."""
    workers = {side: Worker(side, folder, batch) for side in SIDES}
    for kind in KINDS:
        first = {side: workers[side].run(kind, 1)[0] for side in SIDES}
        for side in SIDES:
            workers[side].run(kind, 1)
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(rounds):
            for side in SIDES:
                times[side].append(statistics.median(workers[side].run(kind, steps)))
        ratio = statistics.median(m / t for m, t in zip(times["mindspore"], times["tensorflow"], strict=True))
        for side in SIDES:
            median = statistics.median(times[side]) * 1000
            shown = f"{ratio:6.2f}" if side == "mindspore" else ""
            peak = workers[side].peak()
            print(
                f"{batch:>5} {kind:<8} {side:<11} {median:>6.0f} {first[side]:>8.1f} {peak:>8.0f} {shown}", flush=True
            )
    for worker in workers.values():
        worker.close()


class Worker:
    """A process that makes train steps when it is told how many."""

    def __init__(self, side: str, folder: Path, batch: int):
        command = [sys.executable, "-m", "benchmarks.train_step", "--worker", side, "--folder", str(folder)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([*command, "--batch-sizes", str(batch)], text=True, **pipes)

    def run(self, kind: str, times: int) -> list[float]:
        """The seconds that each of `times` runs took."""
        return [float(word) for word in self._ask(f"{kind} {times}").split()]

    def peak(self) -> float:
        """Its peak memory so far in MB."""
        return float(self._ask("peak"))

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, line: str) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        for answer in self._process.stdout:
            if answer.startswith("answer "):
                return answer.removeprefix("answer ")
        raise SystemExit("a worker ended early")


def serve(**runs: Callable[[], Any]) -> None:
    """Answers requests of the form `KIND TIMES`, or `peak`, until there are no more."""
    for line in sys.stdin:
        if line == "peak\n":
            print("answer", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
            continue
        kind, times = line.split()
        seconds = []
        for _ in range(int(times)):
            start = time.perf_counter()
            runs[kind]()
            seconds.append(time.perf_counter() - start)
        print("answer", *seconds, flush=True)


def batch_of(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images [n, 224, 224, 3] on the scale of pixels, positions and quaternions."""
    random = np.random.default_rng(0)
    images = random.normal(size=(size, 224, 224, 3)) * 50
    return tuple(
        array.astype(np.float32) for array in (images, random.normal(size=(size, 3)), random.normal(size=(size, 4)))
    )  # type: ignore[return-value]


OUTPUTS = [f"cls{i}_fc_pose_{part}/cls{i}_fc_pose_{part}:0" for i in (1, 2, 3) for part in ("xyz", "wpqr")]


def run_tensorflow(folder: Path, size: int) -> None:
    """Serves runs of the exported graph in a TensorFlow 1 session."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow.compat.v1 as tf

    tf.disable_eager_execution()
    saver = tf.train.import_meta_graph(str(folder / "posenet.meta"))
    names = ("Placeholder:0", "Placeholder_1:0", "Placeholder_2:0")
    feeds = dict(zip(names, batch_of(size), strict=True))
    with tf.Session() as session:
        saver.restore(session, str(folder / "posenet.ckpt"))
        graph = session.graph
        update = [graph.get_operation_by_name("Adam"), graph.get_tensor_by_name("add_4:0")]
        outputs = [graph.get_tensor_by_name(name) for name in OUTPUTS]
        images = {names[0]: feeds[names[0]]}
        serve(forward=lambda: session.run(outputs, images), step=lambda: session.run(update, feeds))


def run_mindspore(folder: Path, size: int) -> None:
    """Serves runs of the generated script in graph mode."""
    import mindspore as ms

    sys.path.insert(0, str(folder))
    import posenet_ms  # type: ignore[import-not-found]

    ms.set_context(mode=ms.GRAPH_MODE)
    network = posenet_ms.create_network()
    posenet_ms.load(network, str(folder / "posenet.ckpt"))
    predicting = posenet_ms.create_network().set_train(False)
    train_step = posenet_ms.create_train_step(network)
    images, positions, quaternions = batch_of(size)
    batch = [ms.Tensor(array) for array in (images.transpose(0, 3, 1, 2).copy(), positions, quaternions)]
    serve(forward=lambda: [y.asnumpy() for y in predicting(batch[0])], step=lambda: train_step(*batch).asnumpy())


if __name__ == "__main__":
    main()
