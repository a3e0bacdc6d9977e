"""Time and memory of `tf2ms convert`, whole process, by source and by number of nodes.

    python -m benchmarks.convert [--runs 5]

Memory is the largest resident set of the process. The graphs are PoseNet's training graph with shapes, binary and
text, and chains of convolution blocks with their training part, of growing length.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(command: list[str]) -> tuple[float, float]:
    """(wall seconds, peak memory in MB) of one run."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def chain_graph(blocks: int, path: Path) -> int:
    """Writes the training graph of a chain of convolutions with shortcuts; returns its number of nodes.

    In a process of its own: a child's peak memory begins with its parent's, and TensorFlow's is large.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_write_chain, (blocks, path))


def _write_chain(blocks: int, path: Path) -> int:
    import tensorflow.compat.v1 as tf

    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [4, 16, 16, 8])
        target = tf.placeholder(tf.float32, [4, 10])
        for index in range(blocks):
            with tf.variable_scope(f"block{index}"):
                kernel = tf.get_variable("kernel", [3, 3, 8, 8])
                bias = tf.get_variable("bias", [8])
                x = x + tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        logits = tf.matmul(tf.reshape(x, [-1, 16 * 16 * 8]), tf.get_variable("dense", [16 * 16 * 8, 10]))
        tf.train.AdamOptimizer(1e-3).minimize(tf.reduce_mean(tf.square(logits - target)))
        graph_def = graph.as_graph_def(add_shapes=True)
    path.write_bytes(graph_def.SerializeToString())
    return len(graph_def.node)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export = [sys.executable, "-m", "reference_tf", "export", "-o", name, "--no-checkpoint"]
        subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        text = folder / "graph_shapes.pbtxt"
        _write_text(folder / "graph_shapes.pb", text)
        sources = [("PoseNet .pb", 4635, folder / "graph_shapes.pb"), ("PoseNet .pbtxt", 4635, text)]
        for blocks in (50, 200, 800):
            path = folder / f"chain{blocks}.pb"
            sources.append((f"chain of {blocks} blocks", chain_graph(blocks, path), path))
        print(f"{'source':<22} {'nodes':>7} {'seconds':>8} {'MB':>6}")
        for title, nodes, path in sources:
            command = [sys.executable, "-m", "tf2ms", "convert", str(path), "-o", str(folder / "out"), "--force"]
            results = [measure(command) for _ in range(runs)]
            seconds, memory = (statistics.median(column) for column in zip(*results, strict=True))
            print(f"{title:<22} {nodes:>7,} {seconds:>8.2f} {memory:>6.0f}")


def _write_text(binary: Path, text: Path) -> None:
    from google.protobuf import text_format
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    text.write_text(text_format.MessageToString(GraphDef.FromString(binary.read_bytes())))


if __name__ == "__main__":
    main()
