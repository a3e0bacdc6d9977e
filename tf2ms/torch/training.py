"""Training steps: `loss.backward(); optimizer.step()` becomes `ms.value_and_grad` over the optimizer's parameters.

PyTorch records what a block computes and `backward` looks back; MindSpore differentiates a function. So the statements
that `loss` depends on move into a local `forward_fn`, which returns the loss and whatever else is read later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import libcst as cst
import libcst.matchers as m

from tf2ms.torch import plain
from tf2ms.torch.analysis import Analysis
from tf2ms.torch.names import fresh, leaves, names_of, read_elsewhere
from tf2ms.torch.steps import (
    Backward,
    Converter,
    ModuleCalls,
    OptimizerMakers,
    Plan,
    Settle,
    Tools,
    assigns,
    blocks_in,
    calls_in,
    calls_in_block,
    needed_before,
    parsed,
    part_of,
    returned,
    value_of,
    with_gradients,
)
from tf2ms.torch.target import code, literal, parenthesized

_CLIPS = {"torch.nn.utils.clip_grad_norm_": "norm", "torch.nn.utils.clip_grad_value_": "value"}


class Planner:
    """Finds the training steps of a file and tells the rewriter what each call of them becomes.

    steps: a call → the statements that replace it (as text), for step, zero_grad and clipping.
    before: statements to put before a loop.
    trained: the body of a loop → the statements that replace the loop.
    style: "functional" for value_and_grad; "cells" and "model" for plain steps as MindSpore's training cells.
    """

    def __init__(self, analysis: Analysis, tools: Tools, style: str = "functional"):
        self.analysis = analysis
        self.tools = tools
        self.style = style
        self.trained: dict[cst.CSTNode, list[cst.BaseStatement]] = {}
        self.trainers: set[str] = set()
        self.closed: set[str] = set()  # closures that return the loss and its gradients
        self.plans: dict[cst.CSTNode, Plan] = {}
        self.steps: dict[cst.Call, list[str]] = {}
        self.done: set[cst.Call] = set()
        self.failed: dict[cst.Call, str] = {}
        self.finite: dict[str, list[tuple[str, cst.Call]]] = {}  # scaler → what its steps since its update found
        self.outer: dict[cst.CSTNode, tuple[cst.Module | cst.IndentedBlock, int]] = {}  # inner block → where it stands
        self.before: dict[cst.CSTNode, list[cst.BaseStatement]] = {}
        self.loops: list[list[cst.CSTNode]] = [[]]
        self.functions: list[cst.CSTNode] = [analysis.module]
        self.used: dict[cst.CSTNode, set[str]] = {}

    @cached_property
    def closures(self) -> dict[str, str]:
        """The optimizers whose `step` is given a function, by its name: those that call it themselves."""
        found = {}
        for node in m.findall(self.analysis.module, m.Call(m.Attribute(attr=m.Name("step")), [m.Arg(m.Name())])):
            assert isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)
            if self.analysis.value(node.func.value).name == "torch.optim.LBFGS":
                found[code(node.args[0].value)] = code(node.func.value)
        return found

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
            for inner in blocks_in(statement):
                self.outer.setdefault(inner, (block, index))
            for call in calls_in(statement):
                if call in self.done or self.role(call)[0] != "backward":
                    continue
                assert isinstance(call.func, cst.Attribute)
                loss, scaler = self._unscaled(call.func.value)
                direct = isinstance(statement, cst.SimpleStatementLine)
                if not direct and self._assigned_inside(statement, call, names_of(loss).reads):
                    continue
                made = Backward(call, loss, index, scaler)
                if not (found and found[-1].index == index and self._either(statement, found[-1], made)):
                    found.append(made)
        if not found:
            return
        plan = Plan(body, [])
        boundary = 0
        for backward in found:
            self.done.add(backward.call)
            if backward.other is not None:
                self.done.add(backward.other)
            try:
                self._region(backward, body, boundary)
                self._check_outer(block, backward, body)
                self._steps(backward, body, found)
            except ValueError as reason:
                self.failed[backward.call] = str(reason)
                if backward.other is not None:
                    self.failed[backward.other] = str(reason)
                continue
            boundary = backward.last + 1
            before = plan.backwards[-1] if plan.backwards else None
            if (
                before is not None
                and backward.again
                and before.optimizers == backward.optimizers
                and before.accumulates == backward.accumulates
                and before.scaler is None is backward.scaler
                and not any(leaves(s) for s in body[before.first : backward.last + 1])
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

    def _either(self, statement: cst.CSTNode, first: Backward, second: Backward) -> bool:
        """Notes that two backwards are the branches of one condition: the same loss, with a scaler and without."""
        if not isinstance(statement, cst.If) or not isinstance(statement.orelse, cst.Else):
            return False
        if code(first.loss) != code(second.loss) or first.other is not None:
            return False
        branches = [list(calls_in_block(statement.body)), list(calls_in(statement.orelse))]
        if first.call not in branches[0] or second.call not in branches[1]:
            return False
        scaled = first.scaler or second.scaler
        first.other, first.scaler = second.call, scaled
        if scaled is not None and (first.scaler is None) != (second.scaler is None):
            test = statement.test
            plain_first = self._unscaled(first.call.func.value)[1] is None  # type: ignore[attr-defined]
            first.scaled_if = cst.UnaryOperation(cst.Not(), parenthesized(test)) if plain_first else test
        return True

    def _check_outer(
        self, block: cst.Module | cst.IndentedBlock, backward: Backward, body: Sequence[cst.BaseStatement]
    ) -> None:
        """A loss must not depend on what an enclosing block computes with a network.

        Raises: ValueError.
        """
        region = [*(body[i] for i in backward.again), *body[backward.first : backward.last + 1]]
        needed = names_of(*region, backward.loss).early
        if backward.last < backward.first and not any(assigns(s, needed) for s in body[: backward.index]):
            raise ValueError("the loss is computed outside of this block")
        while block in self.outer:
            block, index = self.outer[block]
            for statement in block.body[:index]:
                if isinstance(statement, cst.SimpleStatementLine) and self._computes(statement):
                    for name in sorted(names_of(statement).writes & needed):
                        raise ValueError(f"{name} is computed outside of the block that computes the loss")

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
        finder = ModuleCalls(self.analysis)
        statement.visit(finder)
        return finder.found

    def _region(self, backward: Backward, body: Sequence[cst.BaseStatement], boundary: int) -> None:
        """The statements that the loss depends on."""
        needed = set(names_of(backward.loss).reads)
        wanted: list[int] = []
        for index in range(backward.index - 1, boundary - 1, -1):
            names = names_of(body[index])
            if names.writes & needed or self._is_bare_forward(body[index]):
                wanted.append(index)
                needed = needed_before(body[index], names, needed)
        wanted.reverse()
        for index in range(boundary - 1, -1, -1):
            names = names_of(body[index])
            if (
                names.writes & needed
                and self._computes(body[index])
                and not isinstance(body[index], cst.For | cst.While)
            ):
                backward.again.insert(0, index)
                needed = needed_before(body[index], names, needed)
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
            if leaves(statement):
                raise ValueError("the statements that compute the loss contain return, break or continue")
        backward.first, backward.last = first, last

    def _is_bare_forward(self, statement: cst.CSTNode) -> bool:
        """Whether a statement runs a network for what its modules keep of it: `model(x)`, with no result."""
        small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
        call = small.value if isinstance(small, cst.Expr) else None
        return isinstance(call, cst.Call) and self.analysis.value(call.func).kind == "module"

    def _steps(self, backward: Backward, body: Sequence[cst.BaseStatement], found: Sequence[Backward]) -> None:
        """The optimizers that use the gradients of this backward."""
        seen_zero: list[str] = []
        after = False
        taken = {b.call for b in found} | {b.other for b in found if b.other is not None}
        every = [(i, call) for i, statement in enumerate(body) for call in self._own_calls(statement, taken)]
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
        function = self.functions[-1]
        name = function.name.value if isinstance(function, cst.FunctionDef) else ""
        if not backward.optimizers and name in self.closures and returned(body, backward.loss):
            backward.optimizers.append(self.closures[name])
            backward.closure = True
            self.closed.add(name)
        if not backward.optimizers:
            raise ValueError("no optimizer step follows in the same block")

    def _own_calls(self, statement: cst.CSTNode, taken: set[cst.Call]) -> Iterator[cst.Call]:
        """The calls of a statement, without the inner blocks that are training steps of their own."""
        foreign: set[cst.Call] = set()
        for block in blocks_in(statement):
            calls = set(calls_in_block(block))
            if any(self.role(c)[0] == "backward" and c not in taken for c in calls):
                foreign |= calls
        yield from (call for call in calls_in(statement) if call not in foreign)

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
        return self.makers.get(optimizer, "")

    @cached_property
    def makers(self) -> dict[str, str]:
        """The modules whose parameters optimizers were given, by the optimizers' names."""
        finder = OptimizerMakers()
        self.analysis.module.visit(finder)
        return finder.modules

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
            backward.function, backward.grads = fresh(function, used), fresh(grads, used)
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
                self.before.setdefault(self.loops[-1][0], []).append(parsed(f"{backward.grads} = None"))
        if self.style != "functional":
            self._find_plain(plan, outside)
        merged: dict[str, str] = {}
        taken = {c for one in plan.backwards for b in (one, *one.more) for c in (b.call, b.other) if c is not None}
        for statement in plan.body:
            for call in self._own_calls(statement, taken):
                role, owner = self.role(call)
                if owner is None or call in self.steps:
                    continue
                if role == "step" and plan.plain is not None:
                    self.steps[call] = []
                elif role == "step" and self._for_optimizer(plan, code(owner)):
                    self.steps[call] = self._step(plan, call, code(owner), merged)
                    merged.pop(code(owner), None)
                elif role == "zero":
                    accumulated = [b for b in plan.backwards if b.accumulates]
                    after = any(b.index <= plan.body.index(statement) for b in accumulated)
                    self.steps[call] = [f"{b.grads} = None" for b in accumulated] if after else []
                elif role == "clip":
                    try:
                        self.steps[call] = self._clip(plan, call, merged, statement)
                    except ValueError as reason:
                        self.failed[call] = str(reason)
                elif role == "scaler":
                    self.steps[call] = self._scaler_call(plan, call)

    def _find_plain(self, plan: Plan, outside: set[str]) -> None:
        """Notes that a step is plain, or why not."""
        try:
            plan.plain, plan.loop = self._plain(plan)
            plan.later = frozenset(outside)
        except plain.NotPlain as reason:
            for backward in plan.backwards:
                self.tools.note(backward.call, "Tensor.backward", f"value_and_grad, as {reason}")

    def _plain(self, plan: Plan) -> tuple[plain.PlainStep, cst.CSTNode]:
        """The plain step of a block, and the outermost loop before which its cell may be made."""
        backward = plan.backwards[0]
        calls = [(self.role(call), call) for statement in plan.body for call in calls_in(statement)]
        if len(plan.backwards) > 1 or backward.more or backward.again or len(backward.optimizers) > 1:
            raise plain.NotPlain("there are several losses or optimizers")
        if backward.accumulates or backward.scaler is not None or any(role == "clip" for (role, _), _ in calls):
            raise plain.NotPlain("gradients are accumulated, scaled or clipped")
        if backward.closure:
            raise plain.NotPlain("the optimizer calls it itself")
        inputs, extras = plan.inputs[0]
        if inputs or extras:
            raise plain.NotPlain(f"{', '.join(inputs or extras)} is used outside of the step")
        other = {call for (role, _), call in calls if role in ("zero", "step")}
        region = [s for s in plan.body[backward.first : backward.last + 1] if not other & set(calls_in(s))]
        optimizer = next(owner for (role, owner), _ in calls if role == "step" and owner is not None)
        step = plain.plain_step(region, backward.loss, optimizer, self.analysis)
        loop = next((n for n in self.loops[-1] if not step.fixed & names_of(n).writes), None)
        if loop is None:
            raise plain.NotPlain("it is not in a loop over the same network and optimizer")
        plan.inner = self.loops[-1][-1]
        used = self.used[self.functions[-1]]
        names = [fresh(name, used) for name in ("train_step", "net_with_loss", "trainer")]
        used.update(names)
        step = replace(step, cell=names[0], with_loss=names[1], trainer=names[2])
        return step, loop

    def _outside(self, plan: Plan) -> set[str]:
        """Names that the function reads outside this block, after it."""
        return read_elsewhere(self.functions[-1], plan.body)

    def _for_optimizer(self, plan: Plan, optimizer: str) -> list[Backward]:
        return [b for b in plan.backwards if optimizer in b.optimizers]

    def _gradients(self, plan: Plan, optimizer: str, merged: dict[str, str]) -> tuple[list[str], str]:
        """Statements that join several backwards, and the expression of the gradients."""
        if optimizer in merged:
            return [], merged[optimizer]
        sources = self._for_optimizer(plan, optimizer)
        parts = [part_of(b, optimizer) for b in sources]
        if len(parts) == 1:
            return [], parts[0]
        name = (
            f"grads_{optimizer.replace('.', '_')}"
            if len({o for b in plan.backwards for o in b.optimizers}) > 1
            else "grads"
        )
        merged[optimizer] = name
        return [f"{name} = tuple(sum(parts) for parts in zip({', '.join(parts)}))"], name

    def _step(self, plan: Plan, call: cst.Call, optimizer: str, merged: dict[str, str]) -> list[str]:
        lines, grads = self._gradients(plan, optimizer, merged)
        assert isinstance(call.func, cst.Attribute)
        if self.analysis.value(call.func.value).kind != "scaler":
            return [*lines, f"{optimizer}({grads})"]
        scaler = code(call.func.value)
        if not all(b.unscaled for b in self._for_optimizer(plan, optimizer)):
            lines.append(f"{grads} = {scaler}.unscale({grads})")
        several = len({o for b in plan.backwards for o in b.optimizers}) > 1
        finite = f"finite_{optimizer.replace('.', '_')}" if several else "finite"
        self.finite.setdefault(scaler, []).append((finite, call))
        return [*lines, f"{finite} = ms.amp.all_finite({grads})", f"if {finite}:\n    {optimizer}({grads})"]

    def _scaler_call(self, plan: Plan, call: cst.Call) -> list[str]:
        """`scaler.unscale_(optimizer)` and `scaler.update()`."""
        assert isinstance(call.func, cst.Attribute)
        scaler = code(call.func.value)
        if call.func.attr.value == "update":
            stepped = self.finite.pop(scaler, [])
            return [f"{scaler}.adjust({' and '.join(dict.fromkeys(name for name, _ in stepped))})"] if stepped else []
        sources = self._for_optimizer(plan, code(call.args[0].value)) if call.args else []
        if len(sources) != 1 or len(sources[0].optimizers) != 1:
            return []
        sources[0].unscaled = True
        line = f"{sources[0].grads} = {scaler}.unscale({sources[0].grads})"
        condition = self._condition_without_step(plan, call, code(call.args[0].value))
        if condition is None:
            return [line]
        self.before.setdefault(condition, []).append(parsed(line))  # the step needs it in either case
        return []

    def _condition_without_step(self, plan: Plan, call: cst.Call, optimizer: str) -> cst.CSTNode | None:
        """The outermost condition around a call that does not hold the optimizer's step too."""
        for statement in plan.body:
            node: cst.CSTNode = statement
            while call in list(calls_in(node)):
                if isinstance(node, cst.If) and not any(
                    role == "step" and owner is not None and code(owner) == optimizer
                    for role, owner in map(self.role, calls_in(node))
                ):
                    return node
                inner = [s for block in blocks_in(node, deep=False) for s in block.body if call in list(calls_in(s))]
                if not inner:
                    break
                node = inner[0]
        return None

    def _clip(self, plan: Plan, call: cst.Call, merged: dict[str, str], statement: cst.CSTNode) -> list[str]:
        """What clips the gradients.

        Raises: ValueError for what MindSpore's clipping does not do.
        """
        value = self.analysis.value(call.func)
        names = ("parameters", "max_norm" if _CLIPS[value.name] == "norm" else "clip_value", "norm_type")
        given = {a.keyword.value if a.keyword else n: a.value for n, a in zip(names, call.args, strict=False)}
        given |= {a.keyword.value: a.value for a in call.args if a.keyword}
        limit, norm = given.get(names[1]), given.get("norm_type")
        if limit is None:
            raise ValueError("the limit is not given")
        if norm is not None and literal(norm) not in (2, 2.0):
            raise ValueError("only the norm of type 2 has a form: ops.clip_by_global_norm(grads, max_norm)")
        optimizers = sorted({o for b in plan.backwards for o in b.optimizers})
        what = code(given["parameters"])
        if len(optimizers) > 1:
            made = [o for o in optimizers if self._made_from(o) and what.startswith(self._made_from(o))]
            optimizers = made[:1] or optimizers[:1]
        whole = self._made_from(optimizers[0])
        if whole and what.startswith(f"{whole}.") and what != f"{whole}.parameters()":
            raise ValueError(f"it clips a part of the parameters of {optimizers[0]}; clip those of grads")
        lines, grads = self._gradients(plan, optimizers[0], merged)
        if isinstance(statement, cst.SimpleStatementLine) and isinstance(statement.body[0], cst.Assign):
            target = code(statement.body[0].targets[0].target)
            lines.append(f"{target} = sum((g ** 2).sum() for g in {grads}).sqrt()")
        if _CLIPS[value.name] == "norm":
            lines.append(f"{grads} = ops.clip_by_global_norm({grads}, {code(limit)})")
        else:
            lines.append(f"{grads} = ops.clip_by_value({grads}, -{code(limit)}, {code(limit)})")
        return lines

    def build(
        self,
        plan: Plan,
        converted: Converter,
        expression: Callable[[cst.BaseExpression], str],
        settle: Settle,
    ) -> list[cst.BaseStatement]:
        """The block with its statements converted and the forward parts in functions."""
        if plan.plain is not None:
            return self._build_plain(plan, plan.plain, converted, expression, settle)
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
            made = converted(plan.body[index])
            if any(b.closure for b in plan.backwards):
                made = [with_gradients(s, plan.backwards[0].grads) for s in made]
            result += made
            index += 1
        return result

    def _build_plain(
        self,
        plan: Plan,
        step: plain.PlainStep,
        converted: Converter,
        expression: Callable[[cst.BaseExpression], str],
        settle: Settle,
    ) -> list[cst.BaseStatement]:
        """The block with its plain step as a call of a training cell, or as a loop of `Model.train`."""
        backward, imported = plan.backwards[0], self.tools.imported
        first, last = backward.first, backward.last + 1
        inside, _ = settle([s for statement in plan.body[first:last] for s in converted(statement)])
        before, comments = settle([s for statement in plan.body[:first] for s in converted(statement)])
        after, _ = settle([s for statement in plan.body[last:] for s in converted(statement)])
        values = [value_of(s) for s in inside]
        loss = values[-1] if step.loss else cst.parse_expression(expression(backward.loss))
        assert plan.loop is not None and plan.inner is not None and isinstance(loss, cst.BaseExpression)
        ahead = self.before.setdefault(plan.loop, [])
        if self.style == "model":
            try:
                self.trained[plan.inner] = self._train(plan, step, before, after)
            except plain.NotPlain as reason:
                self.tools.note(backward.call, "Tensor.backward", f"TrainOneStepCell in the loop as it was: {reason}")
            else:
                loss_fn, _ = plain.loss_function(step, loss, True, imported)
                ahead += [*plain.training_cell(step, loss_fn, imported), plain.trainer(step, imported)]
                return [cst.SimpleStatementLine([cst.Pass()])]
        loss_fn, target = plain.loss_function(step, loss, False, imported)
        ahead += plain.training_cell(step, loss_fn, imported)
        network = values[0] if step.output else loss.args[0].value if isinstance(loss, cst.Call) else None
        data = network.args[0].value if isinstance(network, cst.Call) else step.data
        lines = [*comments, *(line for s in inside for line in getattr(s, "leading_lines", ()))]
        return [*before, plain.call_of_step(step, data, target).with_changes(leading_lines=lines), *after]

    def _train(
        self, plan: Plan, step: plain.PlainStep, before: list[cst.BaseStatement], after: list[cst.BaseStatement]
    ) -> list[cst.BaseStatement]:
        """The loop around a plain step as `Model.train`."""
        if not isinstance(plan.inner, cst.For) or plan.inner.body.body is not plan.body:
            raise plain.NotPlain("the step is not in the loop itself")
        text, network = code(self.functions[-1]), code(step.network)
        if f"{network}.eval(" in text and f"{network}.train(" not in text:
            raise plain.NotPlain("the network may be in evaluation mode, and Model.train sets it to train")
        loop = plain.plain_loop(plan.inner, self.analysis, self.tools.reads_dataset())
        used = self.used[self.functions[-1]]
        callback = fresh("on_step", used)
        used.add(callback)
        columns = plain.unpacked(loop, before)
        made = plain.train_loop(loop, step, columns, after, self.functions[-1], plan.later, callback, self.tools.help)
        self.trainers.add(step.trainer)
        return made

    def _forward(
        self, plan: Plan, position: int, backward: Backward, inside: list[cst.BaseStatement], loss: str
    ) -> list[cst.BaseStatement]:
        """`def forward_fn` and the line that calls it."""
        inputs, extras = plan.inputs[position]
        function = cst.parse_statement(f"def {backward.function}({', '.join(inputs)}):\n    pass\n")
        assert isinstance(function, cst.FunctionDef)
        value = loss if backward.scaler is None else f"{code(backward.scaler)}.scale({loss})"
        if backward.scaled_if is not None:
            value = f"{value} if {code(backward.scaled_if)} else {loss}"
        named = isinstance(backward.loss, cst.Name) and not backward.more
        if backward.scaler is not None and named:
            extras = [loss, *extras]
        returned = ", ".join([value, *extras])
        lines: list[cst.BaseStatement] = [*inside, parsed(f"return {returned}")]
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
        statements: list[cst.BaseStatement] = [function, parsed(call)]
        if self.tools.package.distributed:
            statements.append(parsed(f"{fresh} = {self.tools.help('average_gradients')}({fresh})"))
        if backward.accumulates:
            joined = f"tuple(a + b for a, b in zip({backward.grads}, {fresh}))"
            statements.append(parsed(f"{backward.grads} = {fresh} if {backward.grads} is None else {joined}"))
        return statements
