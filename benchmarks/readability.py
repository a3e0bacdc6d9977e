"""How much there is to read in the generated file of well-known networks: lines, classes, arguments, statements.

    python -m benchmarks.readability [--write] [--hand FOLDER] [NETWORK …]

Also how long structuring the training graph of a transformer of 24 layers takes.

The networks come from `tests/networks/zoo.py` (frozen, small inputs, random weights) and PoseNet from `reference_tf`,
as a training graph. Counted is the model part: from the first function or class to the end of the network, or of its
loss, without blank lines, imports, training and data. `--write` renews docs/readability.md.

`--hand FOLDER` measures versions written by hand again: FOLDER is `mindcv/models` of the unpacked package mindcv
(`pip download mindcv==0.3.0 --no-deps`). The figures are kept in benchmarks/readability_hand.json.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tf2ms
import tf2ms.api

ROOT = Path(__file__).resolve().parent.parent
BARS = {
    "PoseNet": 120,
    "VGG16": 45,
    "ResNet50": 90,
    "ResNet152": 90,
    "MobileNetV2": 90,
    "InceptionV3": 220,
    "DenseNet121": 80,
    "EfficientNetB0": 110,
    "Xception": 120,
    "ConvNeXtTiny": 90,
    "Transformer6": 90,
    "Transformer24": 90,
    "UNet": 90,
    "LSTMClassifier": 60,
}
"""Lines that a well-written file should not exceed."""

_HEAD = """# How the generated code reads

Made by `python -m benchmarks.readability --write`. Lines are those of the model part: helpers, classes, loss; without
imports, training, data or blank lines, in the blocks style. Arguments are the most that a constructor takes, statements
the median of all `construct`s, and the longest function is counted in lines. Inputs are small and weights random, which
changes no line.

Beside them stand the versions of mindcv 0.3.0, MindSpore's own model zoo, as `--hand` counts them: the network's class
and all of the package's classes and functions that it uses, without docstrings and comments. They make every size of
their family, initialise weights and can be configured (VGG, ResNet, ConvNeXt … of any depth; for the transformers the
vision transformer, whose patches stand in the place of words), where the generated file is one network; so the figures
say what a reader has before him, not who writes better. mindcv has no PoseNet, U-Net or classifier of LSTM layers.

"""


@dataclass(frozen=True)
class Figures:
    """What is counted of one file."""

    lines: int
    classes: int
    arguments: int
    statements: float
    longest: int


def figures(code: str) -> Figures:
    """Counts the model part of a generated file."""
    tree = ast.parse(code)
    parts = [item for item in tree.body if isinstance(item, ast.FunctionDef | ast.ClassDef)]
    end = next(
        place for place, item in enumerate(parts) if item.name.endswith("WithLoss") or item.name == "create_network"
    )
    model = parts[:end]
    lines = code.splitlines()[model[0].lineno - 1 : model[-1].end_lineno]
    functions = [item for part in model for item in ast.walk(part) if isinstance(item, ast.FunctionDef)]
    constructors = [item for item in functions if item.name == "__init__"]
    bodies = [item for item in functions if item.name == "construct"]
    return Figures(
        lines=sum(bool(line.strip()) for line in lines),
        classes=sum(isinstance(part, ast.ClassDef) for part in model),
        arguments=max((len(item.args.args) - 1 for item in constructors), default=0),
        statements=statistics.median(len(item.body) for item in bodies),
        longest=max((item.end_lineno or 0) - item.lineno + 1 for item in functions),
    )


HAND = {
    "VGG16": ("vgg.py", "VGG"),
    "ResNet50": ("resnet.py", "ResNet"),
    "ResNet152": ("resnet.py", "ResNet"),
    "MobileNetV2": ("mobilenetv2.py", "MobileNetV2"),
    "InceptionV3": ("inceptionv3.py", "InceptionV3"),
    "DenseNet121": ("densenet.py", "DenseNet"),
    "EfficientNetB0": ("efficientnet.py", "EfficientNet"),
    "Xception": ("xception.py", "Xception"),
    "ConvNeXtTiny": ("convnext.py", "ConvNeXt"),
    "Transformer6": ("vit.py", "VisionTransformer"),
    "Transformer24": ("vit.py", "VisionTransformer"),
}
"""Where mindcv has the network: file, class."""

HAND_FILE = Path(__file__).with_name("readability_hand.json")

Definition = ast.ClassDef | ast.FunctionDef


def hand_figures(folder: Path, file: str, name: str) -> Figures:
    """The same for the class of that name and all of the package's classes and functions that it uses."""
    lines, parts = 0, []
    for text, part in _used(folder, folder / file, name):
        parts.append(part)
        left_out = {number for item in ast.walk(part) for number in _docstring(item)}
        own = enumerate(text.splitlines()[part.lineno - 1 : part.end_lineno], part.lineno)
        lines += sum(
            bool(line.strip()) and not line.strip().startswith("#") and number not in left_out for number, line in own
        )
    functions = [item for part in parts for item in ast.walk(part) if isinstance(item, ast.FunctionDef)]
    constructors = [item for item in functions if item.name == "__init__"]
    return Figures(
        lines=lines,
        classes=sum(isinstance(part, ast.ClassDef) for part in parts),
        arguments=max(len(item.args.args) + len(item.args.kwonlyargs) - 1 for item in constructors),
        statements=statistics.median(len(item.body) for item in functions if item.name == "construct"),
        longest=max((item.end_lineno or 0) - item.lineno + 1 - len(_docstring(item)) for item in functions),
    )


def _docstring(item: ast.AST) -> Sequence[int]:
    """The lines of a definition's docstring."""
    match item:
        case (
            ast.ClassDef(body=[ast.Expr(ast.Constant(str())) as text, *_])
            | ast.FunctionDef(body=[ast.Expr(ast.Constant(str())) as text, *_])
        ):
            return range(text.lineno, (text.end_lineno or text.lineno) + 1)
    return ()


def _used(folder: Path, path: Path, name: str) -> Iterator[tuple[str, Definition]]:
    """(the file's text, the definition) of everything that the class leads to, in the package's own files."""
    seen, stack = set(), [(path, name)]
    while stack:
        path, name = stack.pop()
        if (path, name) in seen or not path.is_file():
            continue
        seen.add((path, name))
        text = path.read_text(encoding="utf-8")
        for item in ast.parse(text).body:
            if isinstance(item, Definition) and item.name == name:
                yield text, item
                stack += [(path, node.id) for node in ast.walk(item) if isinstance(node, ast.Name)]
            elif isinstance(item, ast.ImportFrom) and item.level == 1 and any(a.name == name for a in item.names):
                stack.append((path.parent / f"{(item.module or '').replace('.', '/')}.py", name))


def sources() -> dict[str, Callable[[], object]]:
    """What makes each network's graph."""
    sys.path.insert(0, str(ROOT / "tests" / "networks"))
    import zoo

    makers: dict[str, Callable[[], object]] = {"PoseNet": _posenet}
    for name in BARS:
        if name in zoo.BUILDERS:
            makers[name] = lambda name=name: zoo.frozen(zoo.build(name))  # type: ignore[misc]
    for depth in (6, 24):
        makers[f"Transformer{depth}"] = lambda depth=depth: zoo.frozen(zoo.transformer(depth))  # type: ignore[misc]
    return {name: makers[name] for name in BARS}


def _posenet() -> object:
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    from reference_tf.export import export

    with tempfile.TemporaryDirectory() as name:
        export(Path(name), 75)
        return GraphDef.FromString((Path(name) / "graph_shapes.pb").read_bytes())


_TIME = """
## How long structuring takes

The training graph (softmax cross entropy, Adam) of a transformer of 24 layers, {nodes:,} nodes: finding the classes,
their arguments and the names takes {structure:.2f} s, writing the text {emit:.2f} s. What the whole command
takes, for graphs of up to 55,000 nodes, is measured by `python -m benchmarks.convert`.
"""


def transformer_training(depth: int, width: int = 32, heads: int = 4, length: int = 12, batch: int = 4) -> object:
    """The training graph of an encoder over word numbers, as TensorFlow 1 writes it."""
    import tensorflow.compat.v1 as tf

    def dense(x: Any, size: int, name: str) -> Any:
        with tf.variable_scope(name):
            rows = tf.reshape(x, [-1, x.shape[-1]])
            kernel = tf.get_variable("kernel", [x.shape[-1], size])
            bias = tf.get_variable("bias", [size])
            return tf.reshape(tf.nn.bias_add(tf.matmul(rows, kernel), bias), [*x.shape[:-1], size])

    def norm(x: Any, name: str) -> Any:
        with tf.variable_scope(name):
            scale = tf.get_variable("gamma", [width], initializer=tf.ones_initializer())
            offset = tf.get_variable("beta", [width], initializer=tf.zeros_initializer())
            return tf.nn.batch_normalization(x, *tf.nn.moments(x, [-1], keepdims=True), offset, scale, 1e-6)

    def split_heads(x: Any) -> Any:
        return tf.transpose(tf.reshape(x, [batch, length, heads, width // heads]), [0, 2, 1, 3])

    with tf.Graph().as_default() as graph:
        tokens = tf.placeholder(tf.int32, [batch, length], name="tokens")
        target = tf.placeholder(tf.float32, [batch, 10], name="target")
        x = tf.gather(tf.get_variable("words", [50, width]), tokens)
        for index in range(depth):
            with tf.variable_scope(f"layer_{index}"):
                query, key, value = (split_heads(dense(x, width, name)) for name in ("query", "key", "value"))
                scores = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * (width // heads) ** -0.5)
                mixed = tf.reshape(tf.transpose(tf.matmul(scores, value), [0, 2, 1, 3]), [batch, length, width])
                x = norm(x + dense(mixed, width, "output"), "norm1")
                x = norm(x + dense(tf.nn.relu(dense(x, 4 * width, "wide")), width, "narrow"), "norm2")
        logits = dense(tf.reduce_mean(x, 1), 10, "classes")
        loss = tf.nn.softmax_cross_entropy_with_logits_v2(labels=target, logits=logits)
        tf.train.AdamOptimizer(1e-3).minimize(tf.reduce_mean(loss))
        return graph.as_graph_def(add_shapes=True)


def stage_seconds(graph: object) -> dict[str, float]:
    """Seconds of structuring and of writing a graph; the first time, which imports, does not count."""
    tf2ms.convert(graph)  # imports
    seconds: dict[str, float] = {}

    def timed(name: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            start = time.perf_counter()
            result = stage(*given)
            seconds[name] = time.perf_counter() - start
            return result

        return run

    with (
        patch.object(tf2ms.api, "structure", timed("structure", tf2ms.api.structure)),
        patch.object(tf2ms.api, "emit", timed("emit", tf2ms.api.emit)),
    ):
        tf2ms.convert(graph)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=main.__doc__ or "Counts lines.")
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--write", action="store_true", help="renew docs/readability.md")
    parser.add_argument("--hand", type=Path, metavar="FOLDER", help="measure mindcv's versions in FOLDER again")
    arguments = parser.parse_args()
    if arguments.hand:
        found = {name: asdict(hand_figures(arguments.hand, *where)) for name, where in HAND.items()}
        HAND_FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    hand = {name: Figures(**known) for name, known in json.loads(HAND_FILE.read_text(encoding="utf-8")).items()}
    rows = [
        "| network | lines | bar | by hand | classes | by hand | arguments | by hand | statements | by hand"
        " | longest function | by hand |",
        "|---|" + "---|" * 11,
    ]
    for name, make in sources().items():
        if arguments.networks and name not in arguments.networks:
            continue
        own, other = figures(tf2ms.convert(make(), name=name).code), hand.get(name)
        cells = [name, own.lines, BARS[name], other.lines if other else "–"]
        for column in ("classes", "arguments", "statements", "longest"):
            cells += [f"{getattr(own, column):g}", f"{getattr(other, column):g}" if other else "–"]
        rows.append(f"| {' | '.join(map(str, cells))} |")
        print(rows[-1], flush=True)
    graph: Any = transformer_training(24)
    times = _TIME.format(nodes=len(graph.node), **stage_seconds(graph))
    print(times)
    if arguments.write:
        (ROOT / "docs" / "readability.md").write_text(_HEAD + "\n".join(rows) + "\n" + times, encoding="utf-8")


if __name__ == "__main__":
    main()
