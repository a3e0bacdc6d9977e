"""Gradients that a script asks for itself: `torch.autograd.grad(outputs, inputs)` becomes `ms.grad` of a function.

The statements that compute the outputs from the inputs move into a local function, placed where the first of them was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m

from tf2ms.torch.analysis import Analysis
from tf2ms.torch.names import fresh, leaves, names_of, read_elsewhere
from tf2ms.torch.target import code, literal

_NAMES = ("outputs", "inputs", "grad_outputs")
_ONES = ("torch.ones", "torch.ones_like", "torch.Tensor.new_ones", "Tensor.new_ones")


@dataclass(frozen=True)
class Derivative:
    """One call of `torch.autograd.grad`.

    moved: the statements that become the function. weighted: whether `grad_outputs` is other than ones.
    kept: the name under which the outputs are needed outside of the function too, "" when they are not.
    """

    call: cst.Call
    function: str
    inputs: tuple[str, ...]
    moved: tuple[cst.BaseStatement, ...]
    weighted: bool
    kept: str


class Derivatives:
    """The derivatives of a file.

    calls: a call → the expression in its place, over the names of its arguments.
    failed: a call → why there is none. places: the statement before which a derivative's function stands.
    """

    def __init__(self, analysis: Analysis):
        self.analysis = analysis
        self.calls: dict[cst.CSTNode, str] = {}
        self.single: set[cst.CSTNode] = set()  # calls that give a tuple of one
        self.failed: dict[cst.CSTNode, str] = {}
        self.places: dict[cst.CSTNode, Derivative] = {}
        self.moved: set[cst.CSTNode] = set()
        self.used = set(analysis.all_names)
        self.wanted = self._wanted()
        self.second = ".backward(" in analysis.module.code if self.wanted else False

    def _wanted(self) -> bool:
        return any(v.kind == "symbol" and v.name == "torch.autograd.grad" for v in self.analysis.values.values())

    def visit_block(self, block: cst.Module | cst.IndentedBlock, function: cst.CSTNode) -> None:
        """Plans the derivatives of one block."""
        for index, statement in enumerate(block.body if self.wanted else ()):
            if not isinstance(statement, cst.SimpleStatementLine):
                continue
            for call in m.findall(statement, m.Call()):
                assert isinstance(call, cst.Call)
                if self.analysis.value(call.func).name == "torch.autograd.grad":
                    try:
                        self._plan(call, block.body, index, function)
                    except ValueError as reason:
                        self.failed[call] = str(reason)

    def _plan(self, call: cst.Call, body: Sequence[cst.BaseStatement], index: int, function: cst.CSTNode) -> None:
        given = {n: a.value for n, a in zip(_NAMES, call.args, strict=False) if a.keyword is None}
        given |= {a.keyword.value: a.value for a in call.args if a.keyword is not None}
        if "outputs" not in given or "inputs" not in given:
            raise ValueError("its outputs or inputs are not given")
        outputs, asked = _only(given["outputs"]), given["inputs"]
        items = [e.value for e in asked.elements] if isinstance(asked, cst.Tuple | cst.List) else [asked]
        by_name = all(isinstance(i, cst.Name) and self.analysis.value(i).kind in ("tensor", "") for i in items)
        inputs = tuple(code(i) for i in items) if by_name else ()
        needed = names_of(outputs).reads - set(inputs)
        wanted: list[int] = []
        for place in range(index - 1, -1, -1):
            names = names_of(body[place])
            if names.writes & needed and not names.writes & set(inputs):
                wanted.append(place)
                simple = isinstance(body[place], cst.SimpleStatementLine)
                needed = ((needed - names.writes) if simple else needed) | names.early
                needed -= set(inputs)
        tainted = set(inputs)
        moved: list[cst.BaseStatement] = []
        for place in reversed(wanted):
            names = names_of(body[place])
            if names.reads & tainted or (not inputs and self._calls_module(body[place])):
                moved.append(body[place])
                tainted |= names.writes
        if not moved and isinstance(outputs, cst.Name):
            raise ValueError(f"what computes {code(outputs)} from its inputs was not found in the same block")
        if any(leaves(s) for s in moved):
            raise ValueError("the statements that compute its outputs contain return, break or continue")
        outside = set().union(*(names_of(s).reads for i, s in enumerate(body) if s not in moved and i != index))
        outside |= read_elsewhere(function, body) | (names_of(body[index]).reads - names_of(call).reads)
        extra = sorted(names_of(*moved).writes & outside)
        if extra and extra != [code(outputs)]:
            raise ValueError(f"{', '.join(extra)} is used beside its outputs")
        create = given.get("create_graph")
        if create is not None and literal(create) is ...:
            raise ValueError("whether it is differentiated again (create_graph) is not literal")
        name = fresh(f"{code(outputs)}_of" if isinstance(outputs, cst.Name) else "outputs_of", self.used)
        self.used.add(name)
        weight = given.get("grad_outputs")
        weighted = weight is not None and code(weight) != "None" and not self._is_ones(weight, body[:index])
        made = Derivative(call, name, inputs, tuple(moved), weighted, extra[0] if extra else "")
        self.places[moved[0] if moved else body[index]] = made
        self.moved.update(moved)
        self.calls[call] = self._expression(made, literal(create) is True)

    def _expression(self, made: Derivative, again: bool) -> str:
        """What stands in the place of the call."""
        if not made.inputs:
            text = f"ms.grad({made.function}, None, list(inputs))()"
        elif len(made.inputs) == 1:
            text = f"ms.grad({made.function})({made.inputs[0]})"
            self.single.add(made.call)
        else:
            text = f"ms.grad({made.function}, {tuple(range(len(made.inputs)))})({', '.join(made.inputs)})"
        if self.second and not again:
            text = f"ops.stop_gradient({text})"
        return f"({text},)" if len(made.inputs) == 1 else text

    def _calls_module(self, statement: cst.CSTNode) -> bool:
        """Whether a statement calls a network."""
        calls = m.findall(statement, m.Call())
        return any(isinstance(c, cst.Call) and self.analysis.value(c.func).kind == "module" for c in calls)

    def _is_ones(self, node: cst.BaseExpression, before: Sequence[cst.BaseStatement]) -> bool:
        """Whether an expression is a tensor of ones, here or where its name was assigned."""
        node = _only(node)
        if isinstance(node, cst.Call):
            return self.analysis.value(node.func).name in _ONES
        for statement in reversed(before if isinstance(node, cst.Name) else ()):
            if code(node) in names_of(statement).writes:
                small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
                return (
                    isinstance(small, cst.Assign)
                    and not isinstance(small.value, cst.Name)
                    and self._is_ones(small.value, ())
                )
        return False

    def function_of(
        self,
        made: Derivative,
        outputs: Mapping[cst.CSTNode, tuple[str, str]],
        converted: Callable[[cst.CSTNode], list[cst.BaseStatement]],
    ) -> list[cst.BaseStatement]:
        """The function of a derivative, and its call where the outputs are needed by name.

        outputs: the call → its converted outputs and what they are weighted with.
        """
        value, weight = outputs[made.call]
        header = cst.parse_statement(f"def {made.function}({', '.join(made.inputs)}):\n    pass\n")
        assert isinstance(header, cst.FunctionDef)
        inside = [s for statement in made.moved for s in converted(statement)]
        if inside:
            header = header.with_changes(leading_lines=getattr(inside[0], "leading_lines", ()))
            inside[0] = inside[0].with_changes(leading_lines=[])
        result = f"({value} * {weight}).sum()" if made.weighted else value
        inside.append(_parsed(f"return {result}"))
        made_statements: list[cst.BaseStatement] = [header.with_changes(body=cst.IndentedBlock(inside))]
        if made.kept:
            arguments = ", ".join(made.inputs)
            made_statements.append(_parsed(f"{made.kept} = {made.function}({arguments})"))
        return made_statements


def _only(node: cst.BaseExpression) -> cst.BaseExpression:
    """The element of a list or tuple of one; else the expression.

    Raises: ValueError for more than one.
    """
    if isinstance(node, cst.Tuple | cst.List):
        if len(node.elements) != 1:
            raise ValueError("it has several outputs")
        return node.elements[0].value
    return node


def _parsed(text: str) -> cst.BaseStatement:
    statement = cst.parse_statement(text + "\n")
    assert isinstance(statement, cst.BaseStatement)
    return statement
