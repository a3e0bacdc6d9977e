"""`tf2ms torch` and `tf2ms torch-apis`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tf2ms.errors import OutputError, SourceError, Tf2msError, VerifyError

if TYPE_CHECKING:
    from tf2ms.torch.verify import Evidence


class _Reported(click.ClickException):
    """An error of the family, with its exit code."""

    def __init__(self, error: Tf2msError):
        super().__init__(str(error))
        self.error = error

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """The error's own."""
        return self.error.exit_code

    def show(self, file: object = None) -> None:
        click.echo(f"error: {self.message}", err=True)


@click.command("torch")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the MindSpore files.")
@click.option("--weights", type=click.Path(path_type=Path), help="A .pth or .safetensors file, written as .ckpt.")
@click.option(
    "--verify", "expression", metavar="EXPR", help="Run both and compare: what makes the network, 'Model(10)'."
)
@click.option("--input", "inputs", multiple=True, metavar="SHAPE", help="2,3,224,224, or 2,35:1000 for whole numbers.")
@click.option(
    "--train-style",
    type=click.Choice(["functional", "cells", "model"]),
    default="functional",
    show_default=True,
    help="How plain training steps are written: ms.value_and_grad, nn.TrainOneStepCell in the loop, or Model.train.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Write the report as .html or .json.")
@click.option("--force", is_flag=True, help="Overwrite files that were edited since they were written.")
def torch_command(
    paths: tuple[Path, ...],
    output: Path,
    weights: Path | None,
    expression: str | None,
    inputs: tuple[str, ...],
    train_style: str,
    report: Path | None,
    force: bool,
) -> None:
    """Convert PyTorch scripts (files or a package folder) to MindSpore scripts.

    What has no MindSpore form stays as it was, under a comment that begins with "# tf2ms:".
    """
    if expression is not None and not inputs:
        raise click.UsageError("--verify needs --input, once for each input of the network")
    if report is not None and report.suffix not in (".html", ".json"):
        raise click.UsageError("--report writes .html or .json")
    try:
        _convert(paths, output, weights, expression, inputs, train_style, report, force)
    except Tf2msError as error:
        raise _Reported(error) from error


def _convert(
    paths: tuple[Path, ...],
    output: Path,
    weights: Path | None,
    expression: str | None,
    inputs: tuple[str, ...],
    train_style: str,
    report: Path | None,
    force: bool,
) -> None:
    from tf2ms.torch.convert import convert_package, layers_by_attribute
    from tf2ms.torch.files import read_sources, write_files
    from tf2ms.torch.report import to_html, to_json

    sources, found = read_sources(paths)
    state = None
    if weights is not None:
        from tf2ms.torch.weights import read_state

        state = read_state(weights)
    converted = convert_package(sources, train_style)
    reports = [c.report for c in converted.values()]
    write_files(output, {name: c.text for name, c in converted.items()}, found.values(), force)
    if report is not None:
        text = to_html(reports) if report.suffix == ".html" else to_json(reports)
        try:
            report.parent.mkdir(parents=True, exist_ok=True)
            report.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{report}: cannot be written: {error.strerror}") from error
    for one in reports:
        click.echo(one.summary())
    evidence = None
    if expression is not None:
        evidence = _verify(sources, found, output, expression, inputs, weights)
        click.echo(evidence.summary())
    if state is not None and weights is not None:
        from tf2ms.torch.weights import Placed, guess_places, write_checkpoint

        if evidence is not None:
            placed = [Placed(source, name, layer) for source, (name, layer) in evidence.names.items()]
        else:
            placed, unsure = guess_places(state, layers_by_attribute(sources))
            for name in unsure:
                click.echo(f"  weight {name}: the kind of its layer is not certain; --verify settles it")
        target = output / (weights.stem + ".ckpt")
        count = write_checkpoint(target, state, placed)
        click.echo(f"{target}: {count} tensors")
    if evidence is not None and not all(d.holds for d in evidence.differences):
        raise _Reported(VerifyError("MindSpore's results differ from PyTorch's"))


def _verify(
    sources: dict[str, str],
    found: dict[str, Path],
    output: Path,
    expression: str,
    inputs: tuple[str, ...],
    weights: Path | None,
) -> Evidence:
    import re

    from tf2ms.torch.convert import module_name
    from tf2ms.torch.verify import verify

    head = expression.partition("(")[0].partition(".")[0].strip()
    where = [
        n
        for n, text in sources.items()
        if re.search(rf"^(class|def)\s+{re.escape(head)}\b|^{re.escape(head)}\s*=", text, re.M)
    ]
    if not where:
        raise SourceError(f"--verify {expression}: no file defines {head}")
    name = where[0]
    depth = len(Path(name).parts)
    root = found[name].resolve().parents[depth - 1]
    return verify(root, output, module_name(name), expression, inputs, weights)


@click.command("torch-apis")
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="As the page docs/torch_apis.md.")
def torch_apis_command(name: str | None, markdown: bool) -> None:
    """Print the table of PyTorch APIs, or the rows whose name holds NAME."""
    from tf2ms.torch import table

    if markdown:
        from tf2ms.torch.docs import page

        click.echo(page(), nl=False)
        return
    rows = [row for row in table.rows() if name is None or name in row.name]
    if not rows:
        raise click.ClickException(f"no row whose name holds {name}")
    width = max(len(row.name) for row in rows)
    for row in rows:
        tested = f"{len(row.examples)} tests" if row.examples else row.untested
        click.echo(f"{row.name:<{width}}  {row.target}  [{tested}]" + (f"  note: {row.note}" if row.note else ""))
    click.echo(f"{len(rows)} rows, {sum(bool(row.examples) for row in rows)} tested")
