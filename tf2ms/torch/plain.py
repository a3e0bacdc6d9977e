"""Plain training loops as MindSpore's own cells: `nn.WithLossCell`, `nn.TrainOneStepCell` and `Model.train`.

A step is plain when it calls one network on one tensor, one loss on the result and a target, and steps one optimizer,
with nothing in between. A loop is plain when its batches are the columns of a dataset and each goes into such a step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import libcst as cst

from tf2ms.torch.analysis import Analysis
from tf2ms.torch.names import bound_elsewhere, leaves, names_of
from tf2ms.torch.target import code, fill, literal
from tf2ms.torch.values import Value

STYLES = ("functional", "cells", "model")
Imported = Callable[[cst.BaseExpression], cst.BaseExpression]  # imports what an expression names


class NotPlain(Exception):
    """Why a step or a loop is not plain; for the report."""


@dataclass(frozen=True)
class PlainStep:
    """`output = network(data); loss = loss_fn(output, target)` and a step of `optimizer`.

    output, loss: the names; `output` is "" where the network is called within the loss.
    """

    network: cst.BaseExpression
    data: cst.BaseExpression
    output: str
    target: cst.BaseExpression
    loss: str
    fixed: frozenset[str]  # names that must hold the same things for all steps of a loop
    optimizer: cst.BaseExpression
    cell: str = "train_step"
    with_loss: str = "net_with_loss"
    trainer: str = "trainer"


def plain_step(
    statements: Sequence[cst.BaseStatement],
    loss: cst.BaseExpression,
    optimizer: cst.BaseExpression,
    analysis: Analysis,
) -> PlainStep:
    """The step whose loss `statements` compute.

    Raises: NotPlain.
    """
    assigned = [_assignment(s) for s in statements]
    if len(assigned) > 2:
        raise NotPlain("more than the network and the loss is computed")
    name = ""
    if isinstance(loss, cst.Name) and assigned:
        name, loss = assigned.pop()
        if name == "":
            raise NotPlain("the loss is not a name")
    if not isinstance(loss, cst.Call) or len(loss.args) < 2 or any(a.star or a.keyword for a in loss.args[:2]):
        raise NotPlain("the loss is not a function of an output and a target")
    if any(a.star or a.keyword is None or literal(a.value) is ... for a in loss.args[2:]):
        raise NotPlain("the loss has more arguments than an output and a target")
    first: cst.BaseExpression = loss.args[0].value
    output = ""
    if assigned:
        output, made = assigned.pop()
        if not isinstance(first, cst.Name) or first.value != output:
            raise NotPlain("the loss is not a function of the network's output")
        first = made
    if not isinstance(first, cst.Call) or len(first.args) != 1 or first.args[0].star or first.args[0].keyword:
        raise NotPlain("the network does not have one input")
    if analysis.value(first.func).kind != "module" or not isinstance(first.func, cst.Name | cst.Attribute):
        raise NotPlain(f"{code(first.func)} is not known to be a network")
    target = loss.args[1].value
    if not isinstance(target, cst.Name) and analysis.value(loss.func).kind not in ("module", "function", "method"):
        raise NotPlain("the target is not a name")
    fixed = frozenset(names_of(first.func, loss.func, optimizer).reads)
    return PlainStep(first.func, first.args[0].value, output, target, name, fixed, optimizer)


def _assignment(statement: cst.BaseStatement) -> tuple[str, cst.BaseExpression]:
    """The name and the value of an assignment that stands alone."""
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        small = statement.body[0]
        if isinstance(small, cst.Assign) and len(small.targets) == 1:
            target = small.targets[0].target
            if isinstance(target, cst.Name):
                return target.value, small.value
    raise NotPlain("more than the network and the loss is computed")


def loss_function(
    step: PlainStep, loss: cst.BaseExpression, from_dataset: bool, imported: Imported
) -> tuple[cst.BaseExpression, cst.BaseExpression]:
    """What computes the loss from an output and a target, and the target that it is called with.

    loss: the converted loss. from_dataset: the target comes as it is in the dataset, not as the step would pass it.
    """
    target = code(step.target).strip()
    if isinstance(loss, cst.Call) and len(loss.args) >= 2 and not any(a.keyword or a.star for a in loss.args[:2]):
        given = loss.args[1].value
        if not from_dataset or code(given).strip() == target:
            if len(loss.args) == 2:
                return loss.func, given
            partial = cst.Call(imported(cst.Name("partial")), [cst.Arg(loss.func), *loss.args[2:]])
            return partial, given
    output = step.output or "output"
    if not step.output and isinstance(loss, cst.Call):
        loss = loss.with_changes(args=[loss.args[0].with_changes(value=cst.Name(output)), *loss.args[1:]])
    return cst.parse_expression(f"lambda {output}, {target}: {code(loss)}"), step.target


def training_cell(step: PlainStep, loss_fn: cst.BaseExpression, imported: Imported) -> list[cst.BaseStatement]:
    """The statements that make the training cell; a loss that is written out has a line of its own."""
    with_loss = _made("nn.WithLossCell(network, loss_fn)", imported, network=step.network, loss_fn=loss_fn)
    lines = []
    if isinstance(loss_fn, cst.Lambda | cst.Call):
        lines.append(_assign(step.with_loss, with_loss))
        with_loss = cst.Name(step.with_loss)
    cell = _made("nn.TrainOneStepCell(network, optimizer)", imported, network=with_loss, optimizer=step.optimizer)
    return [*lines, _assign(step.cell, cell)]


def trainer(step: PlainStep, imported: Imported) -> cst.BaseStatement:
    """The statement that makes the model whose `train` runs the loops."""
    return _assign(step.trainer, _made("ms.Model(cell)", imported, cell=cst.Name(step.cell)))


def _made(template: str, imported: Imported, **values: cst.BaseExpression) -> cst.BaseExpression:
    return fill(imported(cst.parse_expression(template)), values)


def call_of_step(step: PlainStep, data: cst.BaseExpression, target: cst.BaseExpression) -> cst.BaseStatement:
    """`loss = train_step(data, target)`."""
    call = cst.Call(cst.Name(step.cell), [cst.Arg(data), cst.Arg(target)])
    return _assign(step.loss, call) if step.loss else cst.SimpleStatementLine([cst.Expr(call)])


def _assign(name: str, value: cst.BaseExpression) -> cst.BaseStatement:
    return cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(name))], value)])


@dataclass(frozen=True)
class PlainLoop:
    """A loop over a dataset; `index` is the name that `enumerate` counts with, "" without."""

    node: cst.For
    dataset: cst.BaseExpression
    index: str
    columns: tuple[str, ...]  # names of the batch's tensors, or one name that is unpacked in the loop


def plain_loop(node: cst.For, analysis: Analysis, wrapped: bool) -> PlainLoop:
    """A loop over batches of a dataset, by what stands behind `for`.

    wrapped: whether every loader is the helper's DataLoader, which holds its dataset.

    Raises: NotPlain.
    """
    iterated: cst.BaseExpression = node.iter
    target: cst.BaseExpression = node.target
    index = ""
    if isinstance(iterated, cst.Call) and analysis.value(iterated.func) == Value("builtin", "enumerate"):
        if len(iterated.args) > 1 and literal(iterated.args[1].value) != 0:
            raise NotPlain("its steps are not counted from 0")
        if not isinstance(target, cst.Tuple) or len(target.elements) != 2:
            raise NotPlain("its batches are not the columns of a dataset")
        counter = target.elements[0].value
        iterated, target = iterated.args[0].value, target.elements[1].value
        index = code(counter)
    loader = analysis.value(iterated)
    if loader.kind != "loader" or not loader.name or not isinstance(iterated, cst.Name | cst.Attribute):
        raise NotPlain(f"{code(iterated)} is not known to be a DataLoader of this file")
    if isinstance(target, cst.Name):
        columns: tuple[str, ...] = (target.value,)
    elif isinstance(target, cst.Tuple | cst.List) and all(isinstance(e.value, cst.Name) for e in target.elements):
        columns = tuple(code(e.value) for e in target.elements)
    else:
        raise NotPlain("its batches are not the columns of a dataset")
    if node.orelse is not None:
        raise NotPlain("it has an else")
    if loader.name != "columns" or wrapped:
        iterated = cst.Attribute(iterated, cst.Name("batches"))
    return PlainLoop(node, iterated, index, columns)


def unpacked(loop: PlainLoop, before: Sequence[cst.BaseStatement]) -> tuple[str, ...]:
    """The names of a batch's tensors, where statements before the step do nothing but unpack it.

    Raises: NotPlain.
    """
    columns = loop.columns
    for statement in before:
        small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
        if (
            len(columns) == 1
            and isinstance(small, cst.Assign)
            and code(small.value).strip() == columns[0]
            and isinstance(small.targets[0].target, cst.Tuple | cst.List)
        ):
            columns = tuple(code(e.value) for e in small.targets[0].target.elements)
            continue
        raise NotPlain("it does more before the step than to take a batch")
    return columns


def train_loop(
    loop: PlainLoop,
    step: PlainStep,
    columns: tuple[str, ...],
    after: Sequence[cst.BaseStatement],
    function: cst.CSTNode,
    read_later: frozenset[str],
    callback: str,
    help: Callable[[str], str],
) -> list[cst.BaseStatement]:
    """Statements in the place of a loop: `Model.train`, and a callback with what the loop does after each step.

    columns: the names of a batch's tensors. after: the converted statements after the step.
    function: what the loop stands in. read_later: names that it reads after the loop.
    callback: the name of the callback's function. help: gives the local name of a helper.

    Raises: NotPlain.
    """
    names = names_of(*after)
    if (code(step.data).strip(), code(step.target).strip()) != columns:
        raise NotPlain("its batches do not go into the step as they are")
    if any(leaves(s) for s in after):
        raise NotPlain("it may stop before its end")
    if used := (set(columns) | {step.output}) & names.early:
        raise NotPlain(f"it reads {', '.join(sorted(used))} after the step")
    if step.loss in read_later:
        raise NotPlain(f"{step.loss} is read after it")
    train = f"{step.trainer}.train(1, loader, dataset_sink_mode=False)"
    made: list[cst.BaseStatement] = []
    if after:
        kept = names.writes & (read_later | names.early) - {step.loss, loop.index}
        if not kept <= bound_elsewhere(function, loop.node):
            raise NotPlain("it assigns what is read after it for the first time")
        header = cst.parse_statement(f"def {callback}({loop.index or 'step'}, {step.loss or 'loss'}):\n    pass\n")
        scope = cst.Global if isinstance(function, cst.Module) else cst.Nonlocal
        names_kept = [cst.NameItem(cst.Name(name)) for name in sorted(kept)]
        outer = [cst.SimpleStatementLine([scope(names_kept)])] if kept else []
        after = [after[0].with_changes(leading_lines=_comments(after[0])), *after[1:]]
        made.append(header.with_changes(body=cst.IndentedBlock([*outer, *after])))
        train = f"{step.trainer}.train(1, loader, callbacks=[{help('OnStep')}({callback})], dataset_sink_mode=False)"
    call = fill(cst.parse_expression(train), {"loader": loop.dataset})
    return [*made, cst.SimpleStatementLine([cst.Expr(call)])]


def _comments(statement: cst.BaseStatement) -> list[cst.EmptyLine]:
    """The lines above a statement that say something."""
    return [line for line in statement.leading_lines if line.comment is not None]  # type: ignore[attr-defined]


def train_epochs(
    node: cst.For, body: Sequence[cst.BaseStatement], trainers: Collection[str]
) -> list[cst.BaseStatement] | None:
    """`for epoch in range(n): net.set_train(); trainer.train(1, …)` → `trainer.train(n, …)`; None where it does more.

    body: the converted statements of the loop over epochs.
    """
    count = node.iter.args[0] if isinstance(node.iter, cst.Call) and len(node.iter.args) == 1 else None
    if count is None or code(node.iter.func) != "range" or node.orelse is not None:  # type: ignore[attr-defined]
        return None
    *before, last = body
    call = _call(last)
    if call is None or code(call.func) not in {f"{name}.train" for name in trainers}:
        return None
    if any((mode := _call(s)) is None or not code(mode.func).endswith(".set_train") for s in before):
        return None
    return [last.with_deep_changes(call.args[0], value=count.value)]  # Model.train sets the mode itself


def _call(statement: cst.BaseStatement) -> cst.Call | None:
    """The call that a statement is."""
    small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    return small.value if isinstance(small, cst.Expr) and isinstance(small.value, cst.Call) else None
