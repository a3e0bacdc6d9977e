"""How much there is to read in the generated file of well-known networks: lines, classes, arguments, statements.

    python -m benchmarks.readability [--write] [NETWORK …]

The networks come from `tests/networks/zoo.py` (frozen, small inputs, random weights) and PoseNet from `reference_tf`,
as a training graph. Counted is the model part: from the first function or class to the end of the network, or of its
loss, without blank lines, imports, training and data. `--write` renews docs/readability.md.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tf2ms

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

Made by `python -m benchmarks.readability --write`. Lines are those of the model part (helpers, classes,
loss; no imports, training, data or blank lines), in the blocks style; arguments are the most that a constructor takes, statements the
median of all `construct`s, and the longest function is counted in lines. Inputs are small and weights random, which
changes no line.

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


def main() -> None:
    parser = argparse.ArgumentParser(description=main.__doc__ or "Counts lines.")
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows = [
        "| network | lines | bar | classes | arguments | statements | longest function |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, make in sources().items():
        if arguments.networks and name not in arguments.networks:
            continue
        found = figures(tf2ms.convert(make(), name=name).code)
        rows.append(
            f"| {name} | {found.lines} | {BARS[name]} | {found.classes} | {found.arguments} | {found.statements:g}"
            f" | {found.longest} |"
        )
        print(rows[-1], flush=True)
    if arguments.write:
        (ROOT / "docs" / "readability.md").write_text(_HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
