"""Training steps: `loss.backward(); optimizer.step()` becomes `ms.value_and_grad` over the optimizer's parameters.

PyTorch records what a block computes and `backward` looks back; MindSpore differentiates a function. So the statements
that `loss` depends on move into a local `forward_fn`, which returns the loss and whatever else is read later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import libcst as cst

from tf2ms.torch import table
from tf2ms.torch.analysis import Analysis
from tf2ms.torch.target import code
from tf2ms.torch.values import Value

_CLIPS = {"torch.nn.utils.clip_grad_norm_": "norm", "torch.nn.utils.clip_grad_value_": "value"}


class _Names(cst.CSTVisitor):
    """Names that statements read and assign, in the order of evaluation, near enough."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.early: set[str] = set()  # read before assigned
        self.inner: set[str] = set()

    def _write(self, node: cst.CSTNode) -> None:
        if isinstance(node, cst.Name):
            self.writes.add(node.value)
        elif isinstance(node, cst.Tuple | cst.List):
            for item in node.elements:
                self._write(item.value)
        elif isinstance(node, cst.StarredElement):
            self._write(node.value)
        else:
            node.visit(self)

    def visit_Name(self, node: cst.Name) -> None:
        self.reads.add(node.value)
        if node.value not in self.writes:
            self.early.add(node.value)

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        node.value.visit(self)
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:
        node.value.visit(self)
        return False

    def visit_Param(self, node: cst.Param) -> bool:
        if node.default is not None:
            node.default.visit(self)
        return False

    def visit_Expr(self, node: cst.Expr) -> bool:
        node.value.visit(self)
        call = node.value
        if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute):
            method, owner = call.func.attr.value, call.func.value
            if method.endswith("_") and not method.endswith("__") and isinstance(owner, cst.Name):
                self._write(owner)  # changed in place: assigned anew in MindSpore
        return False

    def visit_Assign(self, node: cst.Assign) -> bool:
        node.value.visit(self)
        for target in node.targets:
            self._write(target.target)
        return False

    def visit_AnnAssign(self, node: cst.AnnAssign) -> bool:
        if node.value is not None:
            node.value.visit(self)
            self._write(node.target)
        return False

    def visit_AugAssign(self, node: cst.AugAssign) -> bool:
        node.value.visit(self)
        node.target.visit(self)
        self._write(node.target)
        return False

    def visit_For(self, node: cst.For) -> bool:
        node.iter.visit(self)
        self._write(node.target)
        node.body.visit(self)
        if node.orelse is not None:
            node.orelse.visit(self)
        return False

    def visit_AsName(self, node: cst.AsName) -> bool:
        self._write(node.name)
        return False

    def visit_CompFor(self, node: cst.CompFor) -> None:
        self.inner.update(_names_in(node.target))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        self.writes.add(node.name.value)
        inner = _Names()
        node.body.visit(inner)
        self.reads |= inner.reads
        self.early |= inner.early - self.writes
        return False


def _names_in(node: cst.CSTNode) -> set[str]:
    visitor = _Names()
    node.visit(visitor)
    return visitor.reads


def names_of(*nodes: cst.CSTNode) -> _Names:
    """The names that nodes read and write."""
    visitor = _Names()
    for node in nodes:
        node.visit(visitor)
    visitor.early -= visitor.inner
    return visitor


@dataclass
class Backward:
    """One `loss.backward()`."""

    call: cst.Call
    loss: cst.BaseExpression
    index: int
    scaler: cst.BaseExpression | None = None
    first: int = 0
    last: int = 0
    again: list[int] = field(default_factory=list)  # earlier statements that the loss depends on through another step
    optimizers: list[str] = field(default_factory=list)
    accumulates: bool = False
    function: str = "forward_fn"
    grads: str = "grads"
    more: list[Backward] = field(default_factory=list)  # later losses of the same step, added to this one
    unscaled: bool = False


@dataclass
class Plan:
    """What happens to the statements of one block."""

    body: Sequence[cst.BaseStatement]
    backwards: list[Backward]
    inputs: dict[int, tuple[list[str], list[str]]] = field(default_factory=dict)  # index of backward → inputs, extras


def calls_in(node: cst.CSTNode) -> Iterator[cst.Call]:
    """Calls that stand as statements, in this block and in the blocks of its conditions."""
    if isinstance(node, cst.SimpleStatementLine):
        for small in node.body:
            value = small.value if isinstance(small, cst.Expr | cst.Assign) else None
            if isinstance(value, cst.Call):
                yield value
    elif isinstance(node, cst.If | cst.Else | cst.With):
        for statement in node.body.body:
            yield from calls_in(statement)
        if isinstance(node, cst.If) and node.orelse is not None:
            yield from calls_in(node.orelse)


class Planner:
    """Finds the training steps of a file and tells the rewriter what each call of them becomes.

    steps: a call → the statements that replace it (as text), for step, zero_grad and clipping.
    before: statements to put before a loop.
    """

    def __init__(self, analysis: Analysis):
        self.analysis = analysis
        self.plans: dict[cst.CSTNode, Plan] = {}
        self.steps: dict[cst.Call, list[str]] = {}
        self.done: set[cst.Call] = set()
        self.failed: dict[cst.Call, str] = {}
        self.before: dict[cst.CSTNode, list[str]] = {}
        self.loops: list[list[cst.CSTNode]] = [[]]
        self.functions: list[cst.CSTNode] = [analysis.module]
        self.used: dict[cst.CSTNode, set[str]] = {}
        self.distributed = any(
            v.kind == "symbol" and v.name.endswith("DistributedDataParallel") for v in analysis.values.values()
        )

    def role(self, call: cst.Call) -> tuple[str, cst.BaseExpression | None]:
        """ "backward", "step", "zero", "clip" or "", and the object it is about."""
        value = self.analysis.value(call.func)
        if value.kind == "symbol":
            return ("clip", call.args[0].value) if value.name in _CLIPS and call.args else ("", None)
        if not isinstance(call.func, cst.Attribute):
            return "", None
        owner, method = call.func.value, call.func.attr.value
        kind = self.analysis.value(owner).kind
        if method == "backward" and kind in ("tensor", "") and self.analysis.uses_torch:
            return "backward", owner
        if method == "zero_grad" and kind in ("optimizer", "module", "", "object"):
            return "zero", owner
        if method == "step" and (kind == "optimizer" or (kind == "" and "opt" in code(owner).lower())):
            return "step", owner
        if method == "step" and kind == "scaler" and call.args:
            return "step", call.args[0].value
        if kind == "scaler" and method in ("update", "unscale_"):
            return "scaler", owner
        return "", None

    def visit_block(self, block: cst.Module | cst.IndentedBlock) -> None:
        """Plans one block, if it holds a training step."""
        body = block.body
        found: list[Backward] = []
        for index, statement in enumerate(body):
            for call in calls_in(statement):
                if call in self.done or self.role(call)[0] != "backward":
                    continue
                assert isinstance(call.func, cst.Attribute)
                loss, scaler = self._unscaled(call.func.value)
                direct = isinstance(statement, cst.SimpleStatementLine)
                if not direct and self._assigned_inside(statement, call, names_of(loss).reads):
                    continue
                found.append(Backward(call, loss, index, scaler))
        if not found:
            return
        plan = Plan(body, [])
        boundary = 0
        for backward in found:
            self.done.add(backward.call)
            try:
                self._region(backward, body, boundary)
                self._steps(backward, body, found)
            except ValueError as reason:
                self.failed[backward.call] = str(reason)
                continue
            boundary = backward.last + 1
            before = plan.backwards[-1] if plan.backwards else None
            if (
                before is not None
                and backward.again
                and before.optimizers == backward.optimizers
                and before.accumulates == backward.accumulates
                and before.scaler is None is backward.scaler
                and not any(_leaves(s) for s in body[before.first : backward.last + 1])
            ):
                # one pass over what both losses need; the gradient of a sum is the sum of the gradients
                before.more.append(backward)
                before.last = max(before.last, backward.last)
                continue
            plan.backwards.append(backward)
        if plan.backwards:
            self._name(plan)
            self._replace(plan)
            self.plans[block] = plan

    def _unscaled(self, loss: cst.BaseExpression) -> tuple[cst.BaseExpression, cst.BaseExpression | None]:
        """`scaler.scale(loss)` → loss and scaler."""
        if (
            isinstance(loss, cst.Call)
            and isinstance(loss.func, cst.Attribute)
            and loss.func.attr.value == "scale"
            and self.analysis.value(loss.func.value).kind == "scaler"
            and loss.args
        ):
            return loss.args[0].value, loss.func.value
        return loss, None

    def _assigned_inside(self, statement: cst.CSTNode, call: cst.Call, needed: set[str]) -> bool:
        """Whether an inner block computes the loss itself."""
        if isinstance(statement, cst.If | cst.Else | cst.With):
            inside = any(call in list(calls_in(s)) for s in statement.body.body)
            if inside:
                if needed & names_of(*statement.body.body).writes:
                    return True
                return any(self._assigned_inside(s, call, needed) for s in statement.body.body)
            if isinstance(statement, cst.If) and statement.orelse is not None:
                return self._assigned_inside(statement.orelse, call, needed)
        return False

    def _computes(self, statement: cst.CSTNode) -> bool:
        """Whether a statement calls a module (or what may be one)."""
        finder = _Calls(self.analysis)
        statement.visit(finder)
        return finder.found

    def _region(self, backward: Backward, body: Sequence[cst.BaseStatement], boundary: int) -> None:
        """The statements that the loss depends on."""
        needed = set(names_of(backward.loss).reads)
        wanted: list[int] = []
        for index in range(backward.index - 1, boundary - 1, -1):
            names = names_of(body[index])
            if names.writes & needed:
                wanted.append(index)
                needed = _before(body[index], names, needed)
        wanted.reverse()
        for index in range(boundary - 1, -1, -1):
            names = names_of(body[index])
            if (
                names.writes & needed
                and self._computes(body[index])
                and not isinstance(body[index], cst.For | cst.While)
            ):
                backward.again.insert(0, index)
                needed = _before(body[index], names, needed)
            elif names.writes & needed and isinstance(body[index], cst.SimpleStatementLine):
                needed -= names.writes - names.early
        computing = [i for i in wanted if self._computes(body[i])]
        if not wanted:
            backward.first, backward.last = backward.index, backward.index - 1
            return
        first = computing[0] if computing else wanted[0]
        last = wanted[-1]
        while True:
            region = names_of(*body[first : last + 1])
            earlier = [i for i in wanted if i < first and names_of(body[i]).writes & region.early & region.writes]
            if not earlier:
                break
            first = earlier[0]
        for statement in body[first : last + 1]:
            if _leaves(statement):
                raise ValueError("the statements that compute the loss contain return, break or continue")
        backward.first, backward.last = first, last

    def _steps(self, backward: Backward, body: Sequence[cst.BaseStatement], found: Sequence[Backward]) -> None:
        """The optimizers that use the gradients of this backward."""
        seen_zero: list[str] = []
        after = False
        every = [(i, call) for i, statement in enumerate(body) for call in calls_in(statement)]
        optimizers = {code(owner) for _, c in every for role, owner in [self.role(c)] if role == "step" and owner}
        for index, call in every:
            if call is backward.call:
                after = True
                continue
            if not after:
                continue
            role, owner = self.role(call)
            if role == "zero" and owner is not None:
                seen_zero += [o for o in optimizers if self._zeroes(owner, o, optimizers)]
            elif role == "step" and owner is not None:
                name = code(owner)
                if name not in backward.optimizers and name not in seen_zero:
                    backward.optimizers.append(name)
                    nested = index != backward.index and isinstance(body[index], cst.If)
                    backward.accumulates = backward.accumulates or nested
                seen_zero.append(name)
        if not backward.optimizers:
            raise ValueError("no optimizer step follows in the same block")

    def _zeroes(self, owner: cst.BaseExpression, optimizer: str, optimizers: set[str]) -> bool:
        """Whether `owner.zero_grad()` clears the gradients of an optimizer."""
        if code(owner) == optimizer:
            return True
        value = self.analysis.value(owner)
        if value.kind == "optimizer" or code(owner) in optimizers:
            return False
        if len(optimizers) == 1:
            return True
        made = self._made_from(optimizer)
        return made == code(owner) if made else code(owner)[-1:].lower() == optimizer[-1:].lower()

    def _made_from(self, optimizer: str) -> str:
        """The module whose parameters an optimizer was given, as written."""
        finder = _Optimizers(optimizer)
        self.analysis.module.visit(finder)
        return finder.module

    def _name(self, plan: Plan) -> None:
        """Names of functions and gradients, distinct within the function they stand in."""
        used = self.used.setdefault(
            self.functions[-1], names_of(self.functions[-1]).reads | names_of(*plan.body).writes
        )
        several = len(plan.backwards) > 1
        for backward in plan.backwards:
            suffix = code(backward.loss) if several and isinstance(backward.loss, cst.Name) else ""
            function = f"forward_{suffix}" if suffix else "forward_fn"
            grads = f"grads_{suffix}" if suffix else "grads"
            backward.function, backward.grads = _fresh(function, used), _fresh(grads, used)
            used |= {backward.function, backward.grads}

    def _replace(self, plan: Plan) -> None:
        """What step, zero_grad and clipping become."""
        outside = self._outside(plan)
        for position, backward in enumerate(plan.backwards):
            region = plan.body[backward.first : backward.last + 1]
            names = names_of(*(plan.body[i] for i in backward.again), *region)
            loss = "" if backward.more else code(backward.loss)
            inputs = sorted(names.early & names.writes)
            later = outside | names_of(*(s for i, s in enumerate(plan.body) if i > backward.last)).reads
            carried = set(inputs) if self.loops[-1] else set()
            extras = sorted(names_of(*region).writes & (later | carried) - {loss} - names.inner)
            plan.inputs[position] = (inputs, extras)
        if any(b.accumulates for b in plan.backwards) and self.loops[-1]:
            for backward in plan.backwards:
                self.before.setdefault(self.loops[-1][0], []).append(f"{backward.grads} = None")
        merged: dict[str, str] = {}
        for statement in plan.body:
            for call in calls_in(statement):
                role, owner = self.role(call)
                if owner is None or call in self.steps:
                    continue
                if role == "step":
                    self.steps[call] = self._step(plan, code(owner), merged)
                    merged.pop(code(owner), None)
                elif role == "zero":
                    accumulated = [b for b in plan.backwards if b.accumulates]
                    after = any(b.index <= plan.body.index(statement) for b in accumulated)
                    self.steps[call] = [f"{b.grads} = None" for b in accumulated] if after else []
                elif role == "clip":
                    self.steps[call] = self._clip(plan, call, merged, statement)
                elif role == "scaler":
                    self.steps[call] = self._unscale(plan, call)

    def _outside(self, plan: Plan) -> set[str]:
        """Names that the function reads outside this block, after it."""
        function = self.functions[-1]
        visitor = _Outside(plan.body)
        function.visit(visitor)
        return visitor.reads

    def _for_optimizer(self, plan: Plan, optimizer: str) -> list[Backward]:
        return [b for b in plan.backwards if optimizer in b.optimizers]

    def _gradients(self, plan: Plan, optimizer: str, merged: dict[str, str]) -> tuple[list[str], str]:
        """Statements that join several backwards, and the expression of the gradients."""
        if optimizer in merged:
            return [], merged[optimizer]
        sources = self._for_optimizer(plan, optimizer)
        parts = [_part(b, optimizer) for b in sources]
        if len(parts) == 1:
            return [], parts[0]
        name = (
            f"grads_{optimizer.replace('.', '_')}"
            if len({o for b in plan.backwards for o in b.optimizers}) > 1
            else "grads"
        )
        merged[optimizer] = name
        return [f"{name} = [sum(parts) for parts in zip({', '.join(parts)})]"], name

    def _step(self, plan: Plan, optimizer: str, merged: dict[str, str]) -> list[str]:
        lines, grads = self._gradients(plan, optimizer, merged)
        scaler = next((b.scaler for b in self._for_optimizer(plan, optimizer) if b.scaler is not None), None)
        if scaler is not None:
            name = code(scaler)
            if not all(b.unscaled for b in self._for_optimizer(plan, optimizer)):
                lines.append(f"{grads} = {name}.unscale({grads})")
            lines += [
                f"finite = ms.amp.all_finite({grads})",
                f"if finite:\n    {optimizer}({grads})",
                f"{name}.adjust(finite)",
            ]
            return lines
        return [*lines, f"{optimizer}({grads})"]

    def _unscale(self, plan: Plan, call: cst.Call) -> list[str]:
        """`scaler.unscale_(optimizer)`; `scaler.update()` is part of the step."""
        assert isinstance(call.func, cst.Attribute)
        if call.func.attr.value != "unscale_" or not call.args:
            return []
        sources = self._for_optimizer(plan, code(call.args[0].value))
        if len(sources) != 1 or len(sources[0].optimizers) != 1:
            return []
        sources[0].unscaled = True
        return [f"{sources[0].grads} = {code(call.func.value)}.unscale({sources[0].grads})"]

    def _clip(self, plan: Plan, call: cst.Call, merged: dict[str, str], statement: cst.CSTNode) -> list[str]:
        value = self.analysis.value(call.func)
        limit = call.args[1].value if len(call.args) > 1 else None
        if limit is None or len(call.args) > 2:
            return []
        optimizers = sorted({o for b in plan.backwards for o in b.optimizers})
        if len(optimizers) > 1:
            made = [
                o for o in optimizers if self._made_from(o) and code(call.args[0].value).startswith(self._made_from(o))
            ]
            optimizers = made[:1] or optimizers[:1]
        lines, grads = self._gradients(plan, optimizers[0], merged)
        if isinstance(statement, cst.SimpleStatementLine) and isinstance(statement.body[0], cst.Assign):
            target = code(statement.body[0].targets[0].target)
            lines.append(f"{target} = mint.norm(mint.stack([mint.norm(g) for g in {grads}]))")
        if _CLIPS[value.name] == "norm":
            lines.append(f"{grads} = ops.clip_by_global_norm({grads}, {code(limit)})")
        else:
            lines.append(f"{grads} = ops.clip_by_value({grads}, -{code(limit)}, {code(limit)})")
        return lines

    def build(
        self,
        plan: Plan,
        converted: Callable[[cst.CSTNode], list[cst.BaseStatement]],
        expression: Callable[[cst.BaseExpression], str],
        settle: Callable[[Sequence[cst.BaseStatement]], tuple[list[cst.BaseStatement], list[cst.EmptyLine]]],
    ) -> list[cst.BaseStatement]:
        """The block with its statements converted and the forward parts in functions."""
        result: list[cst.BaseStatement] = []
        index = 0
        pending = {b.first: (position, b) for position, b in enumerate(plan.backwards)}
        while index < len(plan.body):
            if index in pending:
                position, backward = pending.pop(index)
                region = range(backward.first, backward.last + 1)
                again = [s.deep_clone() for i in backward.again for s in converted(plan.body[i])]
                inside, _ = settle([*again, *(s for i in region for s in converted(plan.body[i]))])
                loss = " + ".join(expression(b.loss) for b in (backward, *backward.more))
                result += self._forward(plan, position, backward, inside, loss)
                if backward.last >= backward.first:
                    index = backward.last + 1
                    continue
            result += converted(plan.body[index])
            index += 1
        return result

    def _forward(
        self, plan: Plan, position: int, backward: Backward, inside: list[cst.BaseStatement], loss: str
    ) -> list[cst.BaseStatement]:
        """`def forward_fn` and the line that calls it."""
        inputs, extras = plan.inputs[position]
        function = cst.parse_statement(f"def {backward.function}({', '.join(inputs)}):\n    pass\n")
        assert isinstance(function, cst.FunctionDef)
        value = loss if backward.scaler is None else f"{code(backward.scaler)}.scale({loss})"
        named = isinstance(backward.loss, cst.Name) and not backward.more
        if backward.scaler is not None and named:
            extras = [loss, *extras]
        returned = ", ".join([value, *extras])
        lines: list[cst.BaseStatement] = [*inside, _parse(f"return {returned}")]
        function = function.with_changes(body=cst.IndentedBlock(lines))
        if inside and hasattr(inside[0], "leading_lines"):
            blank = inside[0].leading_lines
            function = function.with_changes(leading_lines=blank)
            inside[0] = inside[0].with_changes(leading_lines=[])
            function = function.with_changes(body=cst.IndentedBlock([*inside, lines[-1]]))
        weights = " ".join(
            [f"{backward.optimizers[0]}.parameters"]
            if len(backward.optimizers) == 1
            else ["[" + ", ".join(f"*{o}.parameters" for o in backward.optimizers) + "]"]
        )
        target = loss if named and backward.scaler is None else "_"
        target = f"({target}, {', '.join(extras)})" if extras else target
        aux = ", has_aux=True" if extras else ""
        fresh = f"new_{backward.grads}" if backward.accumulates else backward.grads
        call = f"{target}, {fresh} = ms.value_and_grad({backward.function}, None, {weights}{aux})({', '.join(inputs)})"
        statements: list[cst.BaseStatement] = [function, _parse(call)]
        if self.distributed:
            statements.append(_parse(f"{fresh} = nn.DistributedGradReducer({weights})({fresh})"))
        if backward.accumulates:
            joined = f"[a + b for a, b in zip({backward.grads}, {fresh})]"
            statements.append(_parse(f"{backward.grads} = {fresh} if {backward.grads} is None else {joined}"))
        return statements


def _before(statement: cst.CSTNode, names: _Names, needed: set[str]) -> set[str]:
    """What must be known before a statement so that `needed` is known after it."""
    settled = names.writes if isinstance(statement, cst.SimpleStatementLine) else set()
    return (needed - settled) | names.early


def _part(backward: Backward, optimizer: str) -> str:
    """An optimizer's share of the gradients."""
    if len(backward.optimizers) == 1:
        return backward.grads
    position = backward.optimizers.index(optimizer)
    start = " + ".join(f"len({o}.parameters)" for o in backward.optimizers[:position])
    stop = " + ".join(f"len({o}.parameters)" for o in backward.optimizers[: position + 1])
    last = position == len(backward.optimizers) - 1
    return f"{backward.grads}[{start}:{'' if last else stop}]"


def _parse(text: str) -> cst.BaseStatement:
    statement = cst.parse_statement(text + "\n")
    assert isinstance(statement, cst.BaseStatement)
    return statement


def statements_of(lines: Sequence[str]) -> list[cst.BaseStatement]:
    """Lines of text as statements."""
    return [_parse(line) for line in lines]


def _fresh(name: str, used: set[str]) -> str:
    candidate, number = name, 2
    while candidate in used:
        candidate, number = f"{name}{number}", number + 1
    return candidate


class _Leaves(cst.CSTVisitor):
    """Statements that leave the block they stand in."""

    def __init__(self) -> None:
        self.found = False
        self.loops = 0

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        return False

    def visit_Lambda(self, node: cst.Lambda) -> bool:
        return False

    def visit_For(self, node: cst.For) -> None:
        self.loops += 1

    def leave_For(self, original_node: cst.For) -> None:
        self.loops -= 1

    def visit_While(self, node: cst.While) -> None:
        self.loops += 1

    def leave_While(self, original_node: cst.While) -> None:
        self.loops -= 1

    def visit_Return(self, node: cst.Return) -> None:
        self.found = True

    def visit_Yield(self, node: cst.Yield) -> None:
        self.found = True

    def visit_Break(self, node: cst.Break) -> None:
        self.found = self.found or not self.loops

    def visit_Continue(self, node: cst.Continue) -> None:
        self.found = self.found or not self.loops


def _leaves(statement: cst.CSTNode) -> bool:
    visitor = _Leaves()
    statement.visit(visitor)
    return visitor.found


class _Calls(cst.CSTVisitor):
    """Finds calls of modules, or of what may use one."""

    def __init__(self, analysis: Analysis):
        self.analysis = analysis
        self.found = False

    def visit_Call(self, node: cst.Call) -> None:
        value = self.analysis.value(node.func)
        arguments = [self.analysis.value(a.value).kind for a in node.args]
        if value.kind == "module" or (
            value.kind in ("function", "method", "") and self._may_compute(node, value, arguments)
        ):
            self.found = True

    def _may_compute(self, node: cst.Call, value: Value, arguments: list[str]) -> bool:
        if value.kind == "":
            if not isinstance(node.func, cst.Attribute):
                return True
            return table.find(f"Tensor.{node.func.attr.value}") is None and node.func.attr.value not in (
                "append",
                "update",
            )
        if value.kind == "method":
            return value.of[1].kind == "module" or "module" in arguments
        return "module" in arguments


class _Optimizers(cst.CSTVisitor):
    """Finds `optimizer = optim.X(module.parameters(), …)`."""

    def __init__(self, name: str):
        self.name = name
        self.module = ""

    def visit_Assign(self, node: cst.Assign) -> None:
        if (
            any(code(t.target) == self.name for t in node.targets)
            and isinstance(node.value, cst.Call)
            and node.value.args
        ):
            first = node.value.args[0].value
            if isinstance(first, cst.Call) and isinstance(first.func, cst.Attribute):
                self.module = code(first.func.value)


class _Outside(cst.CSTVisitor):
    """What is read outside a block."""

    def __init__(self, body: Sequence[cst.CSTNode]):
        self.body = set(body)
        self.seen = False
        self.reads: set[str] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if node in self.body:
            self.seen = True
            return False
        if isinstance(node, cst.Attribute | cst.Arg):
            node.value.visit(self)
            return False
        if self.seen and isinstance(node, cst.Name):
            self.reads.add(node.value)
        return super().on_visit(node)
