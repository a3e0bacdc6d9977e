"""The free run as a drawing: TensorFlow's runs, the band around them, and MindSpore's run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tf2ms.errors import OutputError
from tf2ms.verify.types import Curves

_WIDTH, _HEIGHT, _LEFT, _RIGHT = 860, 620, 80, 660
_PANELS = ((40, 290), (350, 580))
_DASHES = ("none", "6 3", "2 3", "8 3 2 3")


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
    """What the template needs: places in pixels and texts. Above the loss, below how far it is from the mean."""
    theirs, ours = np.array(list(curves.tensorflow.values())), np.array(curves.mindspore)
    slack = np.array(curves.allowed) * np.abs(theirs).max(axis=0)
    band = np.array([theirs.max(axis=0) + slack, theirs.min(axis=0) - slack])
    lines = np.array([*theirs, ours])
    mean = theirs.mean(axis=0)
    scale = np.where(mean == 0, 1, np.abs(mean))
    names = [*(f"TensorFlow, {name}" for name in curves.tensorflow), "MindSpore"]
    last, steps = len(names) - 1, len(ours)
    return {
        "title": title,
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "right": _RIGHT,
        "panels": [
            _panel(f"{title}: loss of the free run", lines, band, lines, _PANELS[0]),
            _panel("relative to the mean of TensorFlow's runs", (lines - mean) / scale, (band - mean) / scale,
                   np.concatenate([lines - mean, band - mean]) / scale, _PANELS[1]),
        ],
        "runs": [
            {"name": name, "at": 60 + 20 * index, "colour": "#e45756" if index == last else "#4c78a8",
             "weight": 2.2 if index == last else 1.2, "dash": "none" if index == last else _DASHES[index % 4]}
            for index, name in enumerate(names)
        ],
        "legend_band": 60 + 20 * len(names),
        "x_ticks": [{"at": _x(step, steps), "text": str(step + 1)} for step in range(0, steps, max(1, steps // 10))],
    }  # fmt: skip


def _panel(
    title: str, lines: np.ndarray, band: np.ndarray, shown: np.ndarray, place: tuple[int, int]
) -> dict[str, Any]:
    """One diagram between two heights; `shown` are the values that its scale must hold."""
    top, bottom = place
    finite = shown[np.isfinite(shown)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - margin, high + margin

    def y(value: float) -> float:
        inside = min(max(float(np.nan_to_num(value, nan=high)), low), high)
        return round(bottom - (bottom - top) * (inside - low) / (high - low), 1)

    def points(values: Iterable[float]) -> list[str]:
        return [f"{_x(step, lines.shape[1])},{y(value)}" for step, value in enumerate(values)]

    return {
        "title": title,
        "top": top,
        "bottom": bottom,
        "band": " ".join([*points(band[0]), *reversed(points(band[1]))]),
        "lines": [" ".join(points(values)) for values in lines],
        "y_ticks": [{"at": y(value), "text": f"{value:.4g}"} for value in np.linspace(low, high, 6)],
    }


def _x(step: int, steps: int) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * step / max(steps - 1, 1), 1)
