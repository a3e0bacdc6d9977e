"""The commands that prove: parse arguments, call the API, print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tf2ms.errors import VerifyError

if TYPE_CHECKING:
    from tf2ms.verify.types import Check, Evidence

_LEVELS = ("forward", "loss", "gradients", "update", "free")


def _levels(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    chosen = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in chosen if name not in _LEVELS]
    if unknown or not chosen:
        raise click.BadParameter(f"'{', '.join(unknown)}' is none of {', '.join(_LEVELS)}")
    return chosen


def _shapes(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> Any:
    from tf2ms.cli import _shapes as parse

    return parse(ctx, param, values)


@click.command()
@click.argument("graph")
@click.argument("folder")
@click.option("--checkpoint", metavar="PATH", help="The variables' values; by default the graph's own initializers.")
@click.option("--data", metavar="NPZ", help="One batch; by default random numbers that fit.")
@click.option("--levels", callback=_levels, default=",".join(_LEVELS), show_default=True, help="What to compare.")
@click.option("--steps", type=click.IntRange(1), default=20, show_default=True, help="Of the levels update and free.")
@click.option("--batch-size", type=click.IntRange(1), help="Of random data, where the graph leaves it free.  [2]")
@click.option("--seed", type=int, default=1, show_default=True, help="Of random data.")
@click.option("--plot", metavar="SVG", help="Where to draw the free run; by default beside the generated file.")
@click.option("--forward-bar", type=float, default=1e-5, show_default=True, help="Of outputs and layers.")
@click.option("--loss-bar", type=float, default=1e-6, show_default=True, help="Of the loss and its terms.")
@click.option("--gradients-bar", type=float, default=1e-4, show_default=True, help="Of a variable's gradient.")
@click.option("--update-bar", type=float, default=1e-6, show_default=True, help="Relative to the largest update.")
@click.option("--free-bar", type=float, default=1e-5, show_default=True, help="Of the free run, beside the spread.")
@click.option("--spread-factor", type=float, default=3.0, show_default=True,
              help="How many times TensorFlow's own spread gradients and free run may differ.")  # fmt: skip
@click.option("--shape", "shapes", multiple=True, callback=_shapes, metavar="NAME=1,224,224,3",
              help="Shape of an input that the graph leaves open; may be repeated.")  # fmt: skip
@click.option("--signature", metavar="NAME", help="Which of a SavedModel's signatures was converted.")
@click.option("--loss", metavar="NAME", help="Which of several losses to train by.  [the first]")
@click.option("--rules", metavar="FILE", help="The Python file of rules that it was converted with.")
@click.option("--tensorflow-python", metavar="PYTHON", help="Interpreter that has TensorFlow.")
@click.option("--mindspore-python", metavar="PYTHON", help="Interpreter that has MindSpore.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def verify(graph: str, folder: str, as_json: bool, **options: Any) -> None:
    """Run TensorFlow and the generated code in FOLDER side by side, and show how far they differ.

    Exits with 3 when a bar is missed or a run dies; the first layer to depart is named.

    \b
    Examples:
      tf2ms verify graph.pbtxt out/
      tf2ms verify model.meta out/ --checkpoint model.ckpt --data batch.npz
      tf2ms verify graph.pb out/ --levels forward,loss
      tf2ms verify gan.pb out/ --loss g_loss
    """
    from tf2ms.cli import _working
    from tf2ms.verify import Bars
    from tf2ms.verify import verify as run

    bars = Bars(**{name: options.pop(f"{name}_bar") for name in _LEVELS}, spread_factor=options.pop("spread_factor"))
    with _working("running TensorFlow and MindSpore"):
        evidence = run(graph, folder, bars=bars, **options)
    report(evidence, as_json)


@click.command()
@click.argument("graph")
@click.argument("port")
@click.option("--checkpoint", metavar="PATH", help="The variables' values; by default the graph's own initializers.")
@click.option("--outputs", metavar="A,B", help="The network's outputs, where the graph leaves them open.")
@click.option("--loss", metavar="TENSOR", help="The loss, where the graph leaves it open.")
@click.option("--shape", "shapes", multiple=True, callback=_shapes, metavar="NAME=1,224,224,3",
              help="Shape of an input that the graph leaves open; may be repeated.")  # fmt: skip
@click.option("--tensorflow-python", metavar="PYTHON", help="Interpreter that has TensorFlow.")
@click.option("--mindspore-python", metavar="PYTHON", help="Interpreter that has MindSpore.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def audit(graph: str, port: str, outputs: str | None, as_json: bool, **options: Any) -> None:
    """List where a MindSpore cell that you wrote by hand departs from GRAPH. PORT is FILE.py:CLASS; the file is run.

    Exits with 3 when something departs.

    \b
    Examples:
      tf2ms audit graph.pbtxt my_posenet.py:PoseNet
      tf2ms audit model.meta net.py:Net --checkpoint model.ckpt
    """
    from rich.table import Table

    from tf2ms.cli import _console, _escaped, _working
    from tf2ms.verify.audit import audit as run

    names = [name.strip() for name in outputs.split(",") if name.strip()] if outputs else None
    with _working("running TensorFlow and MindSpore"):
        found = run(graph, port, outputs=names, **options)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        console = _console()
        console.print(f"{found.matched} of {found.layers} layers of the graph found in the port", highlight=False)
        table = Table("Where", "Line", "What", "Port", "Graph", "TensorFlow", box=None, pad_edge=False)
        for item in found.departures:
            line = str(item.line) if item.line else ""
            table.add_row(*map(_escaped, (item.path or "", line, item.what, item.port, item.graph, item.node or "")))
        if found.departures:
            console.print(table)
        for note in found.notes:
            console.print(_escaped(f"note: {note}"), highlight=False, soft_wrap=True)
    if not found.passed:
        count = len(found.departures)
        raise VerifyError(f"the port departs from the graph in {count} place{'s' if count > 1 else ''}")


def verify_written(graph: str, paths: Sequence[str], **options: Any) -> Evidence:
    """What `convert --verify` runs on the files it wrote: every level with its defaults."""
    from tf2ms.cli import _working
    from tf2ms.verify import verify as run

    written = next(path for path in paths if path.endswith(".map.json"))
    with _working("running TensorFlow and MindSpore"):
        return run(graph, written, **options)


def report(evidence: Evidence, as_json: bool = False, quiet: bool = False) -> None:
    """Prints the evidence, unless `quiet`. Raises: VerifyError if a bar was missed."""
    if as_json:
        click.echo(json.dumps(evidence.to_dict(), indent=2))
    elif not quiet:
        show(evidence)
    if not evidence.passed:
        raise VerifyError(_verdict(evidence))


def show(evidence: Evidence) -> None:
    """The table: one row a level, and what departs below it."""
    from rich.table import Table

    from tf2ms.cli import _console, _escaped

    console = _console()
    table = Table("Level", "Compared", "Worst", "Bar", "Where", "", box=None, pad_edge=False)
    for level in ("weights", *_LEVELS):
        checks = [check for check in evidence.checks if check.level == level]
        if checks:
            worst = max(checks, key=_badness)
            good = all(check.passed for check in checks) and not any(c.level == level for c in evidence.crashes)
            table.add_row(
                level,
                _compared(level, checks),
                "" if worst.difference is None else f"{worst.difference:.1e}",
                "" if worst.bar is None else f"{worst.bar:.1e}",
                _escaped("" if level in ("weights", "free") else _where(worst)),
                "[green]ok[/]" if good else "[bold red]missed[/]",
            )
        elif level in evidence.skipped:
            table.add_row(level, _escaped(evidence.skipped[level]), "", "", "", "[yellow]skipped[/]")
    console.print(table)
    for crash in evidence.crashes:
        where = f" in {crash.layer}" if crash.layer else ""
        console.print(
            _escaped(f"{crash.level}: {crash.side} died{where}: {crash.message}"), style="red", soft_wrap=True
        )
    for level in ("weights", *_LEVELS):
        failures = evidence.failures(level)
        for index, check in enumerate(failures[:3]):
            lead = f"{level}: " + ("first to depart: " if level == "forward" and index == 0 else "")
            console.print(_escaped(lead + described(check)), style="red", highlight=False, soft_wrap=True)
        if len(failures) > 3:
            console.print(f"{level}: … and {len(failures) - 3} more", style="red", highlight=False)
    for check in evidence.checks:
        if check.passed and check.message:
            console.print(_escaped(f"note: {str(check.place) or check.what}: {check.message}"), highlight=False)
    for note in evidence.notes:
        console.print(_escaped(f"note: {note}"), highlight=False, soft_wrap=True)
    if evidence.plot:
        console.print(_escaped(f"plot: {evidence.plot}"), highlight=False, soft_wrap=True)


def described(check: Check) -> str:
    """A missed check as one line: what, where, how far, the two values."""
    what = check.what if check.what not in ("layer", check.place.node) else ""
    where = f"{what} {check.place}".strip()
    parts = []
    if check.message:
        parts.append(check.message)
    if check.difference is not None and check.bar is not None:
        parts.append(f"differs by {check.difference:.1e}, allowed are {check.bar:.1e}")
    if check.values is not None:
        parts.append(f"TensorFlow {check.values[0]:.7g}, MindSpore {check.values[1]:.7g}")
    return f"{where}: {'; '.join(parts)}"


def _badness(check: Check) -> tuple[bool, float]:
    if check.difference is None or check.bar is None:
        return (not check.passed, float("inf") if not check.passed else -1.0)
    return (not check.passed, check.difference / check.bar if check.bar else check.difference)


def _compared(level: str, checks: Sequence[Check]) -> str:
    if level == "weights":
        return checks[0].what if checks[0].passed else f"{len(checks)} do not fit"
    if level == "forward":
        outputs = sum(check.what.startswith("output ") for check in checks)
        return f"{len(checks) - outputs} layers, {outputs} outputs"
    if level == "loss":
        terms = sum(check.what.startswith("term ") for check in checks)
        return f"loss, {terms} terms" if terms else "loss"
    if level == "free":
        return "loss of each step"
    return f"{len(checks)} {'gradients' if level == 'gradients' else 'values'}"


def _where(check: Check) -> str:
    place = check.place
    return f"{place.node or place.path or ''}" + (f" (line {place.line})" if place.line else "")


def _verdict(evidence: Evidence) -> str:
    first = evidence.first_departure()
    if evidence.crashes and first is None:
        crash = evidence.crashes[0]
        return f"{crash.side} died at level {crash.level}" + (f" in {crash.layer}" if crash.layer else "")
    return f"the generated code departs from the graph, first at {described(first)}" if first else ""
