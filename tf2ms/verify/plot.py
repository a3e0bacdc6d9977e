"""The free run as a drawing: TensorFlow's runs, the band around them, and MindSpore's run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tf2ms.errors import OutputError
from tf2ms.verify.types import Curves

_WIDTH, _HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 660, 36, 360
_DASHES = ("", "6 3", "2 3", "8 3 2 3")


def write_plot(path: Path, curves: Curves, title: str) -> Path:
    """Draws the loss of every run over the steps as SVG. Raises: OutputError if `path` cannot be written."""
    here = Path(__file__).resolve().parent.parent
    shipped = here / "templates"  # inside the built package; beside it in a checkout
    loader = FileSystemLoader(shipped if shipped.is_dir() else here.parent / "templates")
    environment = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    try:
        path.write_text(environment.get_template("free_run.svg.j2").render(_drawing(curves, title)), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{path}: the plot cannot be written: {error.strerror or error}; name another file"
        ) from error
    return path


def _drawing(curves: Curves, title: str) -> dict[str, Any]:
    """What the template needs: places in pixels and texts."""
    theirs = np.array(list(curves.tensorflow.values()))
    ours, allowed = np.array(curves.mindspore), np.array(curves.allowed)
    slack = allowed * np.abs(theirs).max(axis=0)
    upper, lower = theirs.max(axis=0) + slack, theirs.min(axis=0) - slack
    shown = np.concatenate([theirs.reshape(-1), ours])
    shown = shown[np.isfinite(shown)]
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 1.0)
    margin = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    low, high, steps = low - margin, high + margin, len(ours)

    def x(step: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * step / max(steps - 1, 1), 1)

    def y(value: float) -> float:
        inside = min(max(float(np.nan_to_num(value, nan=high)), low), high)
        return round(_BOTTOM - (_BOTTOM - _TOP) * (inside - low) / (high - low), 1)

    def points(values: Iterable[float]) -> str:
        return " ".join(f"{x(step)},{y(value)}" for step, value in enumerate(values))

    back: Sequence[str] = points(lower).split()[::-1]
    lines = [
        {"name": f"TensorFlow, {name}", "points": points(values), "colour": "#4c78a8", "weight": 1.2,
         "dash": _DASHES[index % len(_DASHES)]}
        for index, (name, values) in enumerate(curves.tensorflow.items())
    ]  # fmt: skip
    lines.append({"name": "MindSpore", "points": points(ours), "colour": "#e45756", "weight": 2.2, "dash": ""})
    every = max(1, steps // 10)
    return {
        "title": f"{title}: loss of the free run",
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "right": _RIGHT,
        "bottom": _BOTTOM,
        "band": " ".join([points(upper), *back]),
        "runs": [{**line, "at": 60 + 20 * index} for index, line in enumerate(lines)],
        "legend_band": 60 + 20 * len(lines),
        "x_ticks": [{"at": x(step), "text": str(step + 1)} for step in range(0, steps, every)],
        "y_ticks": [{"at": y(value), "text": f"{value:.4g}"} for value in np.linspace(low, high, 6)],
    }
