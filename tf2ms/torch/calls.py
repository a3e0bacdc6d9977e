"""A call as the rules of the table see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

from tf2ms.torch.output import DROP
from tf2ms.torch.table import Row
from tf2ms.torch.target import Bound, NoForm, fill, literal
from tf2ms.torch.values import UNKNOWN, Value

if TYPE_CHECKING:
    from tf2ms.torch.rewrite import Rewriter


@dataclass
class Call:
    """A call as a rule sees it: arguments by PyTorch's names, and ways to answer."""

    row: Row
    original: cst.Call
    updated: cst.Call
    bound: Bound
    rewriter: Rewriter
    receiver: cst.BaseExpression | None = None
    receiver_value: Value = UNKNOWN
    looked_at: set[str] = field(default_factory=set)
    path: bool = True

    def arg(self, name: str) -> cst.BaseExpression | None:
        """The expression of an argument, already converted; None when it is not given."""
        self.looked_at.add(name)
        if name == "self":
            return self.receiver
        found = self.bound.given.get(name)
        return found.value if found is not None else None

    def literal(self, name: str, default: object = ...) -> object:
        """The value of an argument when it is literal; `default` when not given; `...` when it is not literal."""
        node = self.arg(name)
        return default if node is None else literal(node)

    def value(self, name: str) -> Value:
        """What is known of an argument."""
        for parameter, arg in zip(self._order(), self.original.args, strict=False):
            if parameter == name:
                return self.rewriter.analysis.value(arg.value)
        return UNKNOWN

    def value_at(self, position: int) -> Value:
        """What is known of an argument by its place."""
        return self.rewriter.analysis.value(self.original.args[position].value)

    def _order(self) -> list[str]:
        names = [p.name for p in self.row.parameters or () if p.kind != "kw"]
        return [
            arg.keyword.value if arg.keyword is not None else names[i] if i < len(names) else ""
            for i, arg in enumerate(self.original.args)
        ]

    def expr(self, template: str, **values: cst.BaseExpression) -> cst.BaseExpression:
        """A MindSpore expression with arguments filled in by name."""
        if not self.path:
            raise NoForm("it is called through a variable")
        names = {**{k: v.value for k, v in self.bound.given.items()}, **values}
        if self.receiver is not None:
            names.setdefault("self", self.receiver)
        return fill(self.rewriter.imported(cst.parse_expression(template)), names)

    def defaults(self) -> dict[str, cst.BaseExpression]:
        """The defaults of the arguments that are not given."""
        return {
            p.name: cst.parse_expression(p.default)
            for p in self.row.parameters or ()
            if p.default is not None and p.name not in self.bound.given
        }

    def assign(self, value: cst.BaseExpression) -> cst.BaseExpression:
        """The value; where the call is a statement, it is assigned to the receiver."""
        self.rewriter.assigned[self.original] = value
        return value

    def statements(self, *lines: str) -> cst.BaseExpression:
        """Statements in the place of the one that the call is."""
        self.rewriter.lines[self.original] = list(lines)
        return DROP

    def apply(self, target: str) -> cst.BaseExpression:
        """The call converted by another right side."""
        return self.rewriter.apply_target(self, target, self.path)

    def fail(self, reason: str) -> NoForm:
        """The answer that there is no form: `raise call.fail("why")`."""
        return NoForm(reason)

    def note(self, reason: str) -> None:
        """A remark for the report."""
        self.rewriter.note(self.original, self.row.name, reason)
