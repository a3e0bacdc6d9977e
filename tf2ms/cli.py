"""The command line: parse arguments, call the API, print."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from tf2ms import __version__
from tf2ms.errors import Tf2msError, UnsupportedOpError
from tf2ms.verify import cli as verify_cli

if TYPE_CHECKING:
    from rich.console import Console

    from tf2ms.api import Conversion
    from tf2ms.inspection import Inspection
    from tf2ms.verify import Evidence


class _Group(click.Group):
    """Turns the errors a user can meet into a message and an exit code; anything else is a defect and shows itself."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Tf2msError as error:
            _console(stderr=True).print("[bold red]error:[/]", _escaped(str(error)), highlight=False, soft_wrap=True)
            sys.exit(error.exit_code)


def _console(stderr: bool = False) -> Console:
    """Rich's console: colours only on a terminal, and none where NO_COLOR is set."""
    from rich.console import Console

    return Console(stderr=stderr)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _shapes(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, tuple[int | None, ...]]:
    """`name=1,224,224,3`; `?` or `None` for a free dimension."""
    shapes: dict[str, tuple[int | None, ...]] = {}
    for text in values:
        name, equals, sizes = text.rpartition("=")
        try:
            if not equals:
                raise ValueError
            parts = [part.strip() for part in sizes.split(",") if part.strip()]
            shapes[name] = tuple(None if part in ("?", "None", "-1") else int(part) for part in parts)
        except ValueError:
            raise click.BadParameter(f"'{text}' is not of the form name=1,224,224,3") from None
    return shapes


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    return [name.strip() for name in value.split(",") if name.strip()] if value else None


def _graph_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that reads a graph."""
    for option in (
        click.option("--shape", "shapes", multiple=True, callback=_shapes, metavar="NAME=1,224,224,3",
                     help="Shape of an input that the graph leaves open; may be repeated."),
        click.option("--signature", metavar="NAME", help="Which of a SavedModel's signatures.  [serving_default]"),
        click.option("--loss", metavar="TENSOR", help="The loss, where the graph leaves it open."),
        click.option("--outputs", callback=_names, metavar="A,B", help="The network's outputs."),
        click.option("--inputs", callback=_names, metavar="A,B", help="Tensors to cut the graph at."),
    ):  # fmt: skip
        command = option(command)
    return click.argument("graph")(command)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tf2ms")
def main() -> None:
    """Reads a TensorFlow graph and writes the MindSpore project that computes the same.

    \b
    Examples:
      tf2ms inspect logs/
      tf2ms convert graph.pbtxt -o out/ --name PoseNet
      tf2ms convert frozen.pb -o out/
    """


@main.command()
@_graph_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def inspect(graph: str, as_json: bool, **options: Any) -> None:
    """Show what a graph holds: inputs, outputs, loss, optimizer, variables, ops, and what is left out.

    GRAPH is a GraphDef (.pb, .pbtxt), a .meta file, a TensorBoard log folder or event file, a SavedModel, or a Keras
    model (.keras, .h5); its content tells which.

    \b
    Examples:
      tf2ms inspect logs/
      tf2ms inspect graph.pb --json
      tf2ms inspect graph.pb --outputs logits
      tf2ms inspect saved_model/ --signature serving_default
    """
    from tf2ms.inspection import inspect as inspect_graph

    with _working("reading the graph"):
        found = inspect_graph(graph, **options)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found)


@main.command()
@_graph_options
@click.option("-o", "--output", "folder", required=True, metavar="FOLDER", help="Where to write; made if missing.")
@click.option("--name", metavar="CLASS", help="The network's class name; by default the file's or folder's.")
@click.option("--checkpoint", metavar="PATH", help="TensorFlow checkpoint, .npy or .npz with the weights.")
@click.option("--style", type=click.Choice(["blocks", "flat"]), default="blocks", show_default=True,
              help="Repeated parts as classes, or each layer an attribute named as in TensorFlow.")  # fmt: skip
@click.option("--keep-nhwc", is_flag=True, help="Keep images channels-last at the network's boundary.")
@click.option("--rules", metavar="FILE", help="A Python file with rules of your own, which go first; it is run.")
@click.option("--allow-unsupported", is_flag=True, help="Write code that raises where an op has no form.")
@click.option("--force", is_flag=True, help="Overwrite a generated file that was edited since.")
@click.option("--verify", "verified", is_flag=True, help="Then run it beside TensorFlow, as `tf2ms verify` does.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def convert(graph: str, folder: str, force: bool, verified: bool, as_json: bool, **options: Any) -> None:
    """Write the MindSpore project of a TensorFlow graph: NAME_ms.py, NAME.map.json and, with weights, NAME.ckpt.

    \b
    Examples:
      tf2ms convert logs/ -o out/ --name PoseNet
      tf2ms convert model.meta -o out/ --checkpoint model.ckpt
      tf2ms convert saved_model/ -o out/ --signature serving_default
      tf2ms convert model.keras -o out/
      tf2ms convert frozen.pb -o out/ --outputs logits --shape input=1,224,224,3
      tf2ms convert model.meta -o out/ --loss total_loss
      tf2ms convert custom.pb -o out/ --rules my_rules.py
    """
    from tf2ms.api import convert as convert_graph

    with _working("converting"):
        conversion = convert_graph(graph, **options)
        paths = [str(path) for path in conversion.write(folder, force)]
    evidence = None
    if verified:
        same = {name: options[name] for name in ("checkpoint", "shapes", "signature", "rules")}
        evidence = verify_cli.verify_written(graph, paths, **same)
    if as_json:
        click.echo(json.dumps(_summary(conversion, paths, evidence), indent=2))
    else:
        _report(conversion, paths)
    if evidence is not None:
        verify_cli.report(evidence, quiet=as_json)


@main.command()
@click.argument("name", required=False)
@click.option("--rules", metavar="FILE", help="A Python file with rules of your own, which go first; it is run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def ops(name: str | None, rules: str | None, as_json: bool) -> None:
    """Show what becomes of TensorFlow's ops: the MindSpore form, devices, data types tested, differences.

    NAME is an op, or a part of the names of several.

    \b
    Examples:
      tf2ms ops
      tf2ms ops LRN
      tf2ms ops ApplyAdam --json
    """
    from rich.table import Table

    from tf2ms.rules.document import entries
    from tf2ms.rules.registry import user_rules

    with user_rules(rules):
        found = entries(name)
    if not found:
        raise Tf2msError(f"no rule for '{name}'; `tf2ms ops` lists them all")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if len(found) == 1:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for key, text in found[0].items():
            table.add_row(key, _escaped(text or "none"))
    else:
        table = Table("TensorFlow", "MindSpore", "Devices", "Tested", "Difference", box=None, pad_edge=False)
        for entry in found:
            table.add_row(*(_escaped(text or "-") for text in entry.values()))
    _console().print(table)


class _Lazy(click.Command):
    """A command of another package, imported only when it is asked for."""

    def __init__(self, name: str, place: str, short_help: str):
        super().__init__(name, help=short_help, short_help=short_help, add_help_option=False)
        self._place = place

    def _command(self) -> click.Command:
        module, _, attribute = self._place.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of the command itself."""
        return self._command().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command itself."""
        return ctx.command.invoke(ctx)


main.add_command(_Lazy("torch", "tf2ms.torch.cli:torch_command", "Write the MindSpore version of PyTorch scripts."))
main.add_command(
    _Lazy("torch-apis", "tf2ms.torch.cli:torch_apis_command", "Show the table of PyTorch names and MindSpore forms.")
)
main.add_command(verify_cli.verify)
main.add_command(verify_cli.audit)


def _working(message: str) -> Any:
    """A spinner on the terminal while something takes its time; nothing in a pipe."""
    return _console(stderr=True).status(f"{message} …")


# -- printing ----------------------------------------------------------------------------------------------------------


def _show(found: Inspection) -> None:
    from rich.table import Table

    console = _console()
    what = "training graph" if found.roles and found.roles.optimizer else "graph"
    trained = "trainable variables" if found.roles and found.roles.optimizer else "variables"
    console.print(
        f"[bold]{_escaped(found.name or found.kind)}[/]: {what}, {found.nodes:,} nodes, "
        f"{found.trainable:,} {trained}, {found.parameters:,} parameters",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, lines in _sections(found):
        table.add_row(title, _escaped("\n".join(lines)))
    console.print()
    console.print(table)
    for note in found.notes:
        console.print(f"note: {_escaped(note)}", highlight=False, soft_wrap=True)


def _sections(found: Inspection) -> list[tuple[str, list[str]]]:
    """The table of `inspect`: a title and its lines."""
    sections: list[tuple[str, list[str]]] = []
    if found.signatures:
        mark = {found.signature: "  <- read"}
        lines = [f"{name}{text}{mark.get(name, '')}" for name, text in found.signatures.items()]
        sections.append(("Signatures", lines))
    roles = found.roles
    if roles is not None:
        purposes = {"backbone": "backbone", "loss": "loss only", "nothing": "not used"}
        names = [str(item.tensor).removesuffix(":0") for item in roles.inputs]
        width = max(map(len, names), default=0)
        inputs = [
            f"{name:<{width}}  {item.dtype} {_shape(item.shape)}  {purposes[item.feeds]}"
            for name, item in zip(names, roles.inputs, strict=True)
        ]
        sections.append(("Inputs", inputs or ["none"]))
        sections.append(("Backbone" if roles.loss else "Outputs", [f"{n} {_shape(s)}" for n, s in found.outputs()]))
        if roles.loss is not None:
            terms = found.term_formulas()
            name = str(roles.loss).removesuffix(":0")
            lines = [f"{name} = {terms[0]}", *(f"{'':>{len(name)}} + {term}" for term in terms[1:])]
            sections.append(("Loss", [*lines, f"({len(terms)} terms)"] if len(terms) > 1 else lines))
        if roles.optimizer is not None:
            lines = [f"{item}{'  stands in: the graph has none' if item.assumed else ''}" for item in roles.optimizers]
            sections.append(("Optimizer", lines))
    sections.append(("Ops", [", ".join(f"{count} {op}" for op, count in found.op_counts.items())]))
    if found.unsupported:
        lines = [f"{item.op}: {len(item.nodes)} nodes ({', '.join(item.nodes[:3])}) {item.reason}"
                 for item in found.unsupported]  # fmt: skip
        sections.append(("No rule", lines))
    else:
        sections.append(("", ["every one has a rule"]))
    if roles is not None:
        total = sum(len(group.nodes) for group in roles.dropped)
        lines = [f"{total:,} nodes:", *(f"{len(group.nodes):>6,}  {group.reason}" for group in roles.dropped)]
        sections.append(("Left out", lines if roles.dropped else ["nothing"]))
    return sections


def _shape(shape: Any) -> str:
    return "[?]" if shape is None else f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _summary(conversion: Conversion, paths: list[str], evidence: Evidence | None) -> dict[str, Any]:
    return {
        "files": paths,
        "network": conversion.name,
        "parameters": len(conversion.map["parameters"]),
        "weights": conversion.weights is not None,
        "lines": conversion.code.count("\n"),
        "training": conversion.map["loss"] is not None,
        "verified": evidence is not None and evidence.passed,
        **({"evidence": evidence.to_dict()} if evidence is not None else {}),
        "unsupported": [
            {"op": item.op, "nodes": list(item.nodes), "reason": item.reason} for item in conversion.lowered.unsupported
        ],
        "notes": list(conversion.notes),
    }


def _report(conversion: Conversion, paths: list[str]) -> None:
    console = _console()
    for path in paths:
        console.print(f"[green]wrote[/] {_escaped(path)}", highlight=False, soft_wrap=True)
    optimizer = conversion.roles.optimizer
    trains = f", loss and {optimizer.name}" if optimizer else ", inference only"
    count = len(conversion.map["parameters"])
    lines = conversion.code.count("\n")
    console.print(f"{conversion.name}: {lines} lines, {count} parameters{trains}", highlight=False, soft_wrap=True)
    if conversion.lowered.unsupported:
        items = UnsupportedOpError(conversion.lowered.unsupported).table()
        console.print(f"[yellow]raises NotImplementedError at:[/]\n{_escaped(items)}", highlight=False, soft_wrap=True)
    for note in conversion.notes:
        console.print(f"note: {_escaped(note)}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
