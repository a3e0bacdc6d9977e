"""The rewriter: applies the table to one file and keeps everything else as it was written."""

# ruff: noqa: D102 - libcst gives visit_ and leave_ methods their names and meaning

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import libcst as cst
from libcst import matchers as m
from libcst.metadata import CodeRange

from tf2ms.torch import table
from tf2ms.torch.analysis import Analysis
from tf2ms.torch.calls import Call
from tf2ms.torch.derivatives import Derivatives
from tf2ms.torch.output import DROP, EQUAL, IMPORTS, Importer, commented, is_dropped, root_of, settle, words_of
from tf2ms.torch.plain import train_epochs
from tf2ms.torch.report import Item
from tf2ms.torch.scopes import ClassInfo, dotted, integer, is_library
from tf2ms.torch.steps import Package, statements_of
from tf2ms.torch.table import Row
from tf2ms.torch.target import (
    PLACEMENT,
    Bound,
    NoForm,
    Suffix,
    bind,
    call_arguments,
    check_unused,
    code,
    fill,
    lay_out,
    literal,
    parenthesized,
    parse,
    variadic_value,
)
from tf2ms.torch.tells import owner_by_name
from tf2ms.torch.training import Planner
from tf2ms.torch.values import Value

UNRESOLVED_METHODS = {
    "backward": "Tensor",
    "zero_grad": "Optimizer",
    "cuda": "Tensor",
    "cpu": "Tensor",
    "detach": "Tensor",
    "numpy": "Tensor",
    "requires_grad_": "Tensor",
    "clone": "Tensor",
    "parameters": "Module",
    "named_parameters": "Module",
    "children": "Module",
    "named_children": "Module",
    "modules": "Module",
    "named_modules": "Module",
}


class Rewriter(cst.CSTTransformer):
    """Rewrites one analysed file; `items` is what it did."""

    def __init__(
        self,
        analysis: Analysis,
        positions: Mapping[cst.CSTNode, CodeRange],
        style: str = "functional",
        package: Package | None = None,
    ):
        super().__init__()
        self.package = package or Package()
        self.changed: set[cst.CSTNode] = set()  # what a method changes in place
        self.iterated: set[cst.CSTNode] = set()  # what a loop walks through
        self.derivatives = Derivatives(analysis)
        self.analysis = analysis
        self.positions = positions
        self.items: list[Item] = []
        self.needed: set[str] = set()
        self.alias: dict[str, str] = {}
        self.helpers: dict[str, str] = {}
        self.skip: set[cst.CSTNode] = set()
        self.plain: set[cst.CSTNode] = set()
        self.contexts: set[cst.CSTNode] = set()
        self.marks: list[list[str]] = []
        self.left: set[str] = set()
        self.left_roots: set[str] = set()
        self.results: dict[cst.CSTNode, object] = {}
        self.class_stack: list[ClassInfo | None] = []
        self.function_stack: list[str] = []
        self.outer_functions: list[list[str]] = []
        self.taken = analysis.all_names
        self.planner = Planner(analysis, self, style)
        self.text: str | None = None
        self.standing: set[cst.CSTNode] = set()
        self.assigned: dict[cst.CSTNode, cst.BaseExpression] = {}
        self.lines: dict[cst.CSTNode, list[str]] = {}
        self.losses: dict[cst.CSTNode, str] = {}
        self.outputs: dict[cst.CSTNode, tuple[str, str]] = {}  # a derivative's outputs and their weight, converted
        self.regions = 0
        self.region_nodes: set[cst.CSTNode] = set()

    # ---- reporting ----

    def line(self, node: cst.CSTNode) -> int:
        """The line of a node of the original file."""
        where = self.positions.get(node)
        return where.start.line if where is not None else 0

    def converted(self, node: cst.CSTNode, source: str, target: str) -> None:
        """Notes a conversion."""
        self.items.append(Item(self.line(node), "converted", source, target))

    def note(self, node: cst.CSTNode, source: str, reason: str) -> None:
        """Notes a known difference."""
        self.items.append(Item(self.line(node), "note", source, reason=reason))

    def attention(self, node: cst.CSTNode, source: str, reason: str, suggestion: str = "") -> None:
        """Marks the statement with a comment, and notes it."""
        self.items.append(Item(self.line(node), "attention", source, reason=reason, suggestion=suggestion))
        text = f"# tf2ms: {source}: {reason}" + (f"; {suggestion}" if suggestion else "")
        text = " ".join(text.split())
        if self.marks and text not in self.marks[-1]:
            self.marks[-1].append(text)

    # ---- names ----

    def use(self, name: str) -> str:
        """The local name of a MindSpore module, imported."""
        if name not in self.alias:
            local = name
            known = self.analysis.top.names.get(name)
            if known is not None and known.kind == "symbol" and known.name in _SHARED:
                self.alias[name] = name
                return name
            while local in self.taken:
                local = f"ms_{local}" if not local.startswith("ms_") else f"{local}_"
            self.alias[name] = local
        known = self.analysis.top.names.get(name)
        if not (known is not None and known.kind == "symbol" and known.name in _SHARED):
            self.needed.add(name)
        return self.alias[name]

    def help(self, name: str) -> str:
        """The local name of a helper, which the file then gets a copy of."""
        local = name
        while local in self.taken:
            local = f"torch_{local}"
        self.helpers[name] = local
        return local

    def imported(self, expression: cst.BaseExpression) -> cst.BaseExpression:
        """An expression of the table, its modules imported."""
        transformer = Importer(self)
        result = expression.visit(transformer)
        assert isinstance(result, cst.BaseExpression)
        return result

    def keep(self, node: cst.BaseExpression, updated: cst.BaseExpression) -> cst.BaseExpression:
        """PyTorch's name goes on being used: by its full path where MindSpore takes over the alias."""
        root: cst.BaseExpression = node
        while isinstance(root, cst.Attribute):
            root = root.value
        if not isinstance(root, cst.Name) or not self.analysis.is_path(root):
            return updated
        if root.value in IMPORTS:
            full = self.analysis.value(node).name
            self.left_roots.add(full.partition(".")[0])
            return cst.parse_expression(full)
        self.left.add(root.value)
        return updated

    # ---- expressions ----

    def visit_Call(self, node: cst.Call) -> None:
        func = self.analysis.value(node.func)
        if func.kind in ("symbol", "bound"):
            self.skip.add(node.func)
        if isinstance(node.func, cst.Attribute) and node.func.attr.value.endswith("_"):
            self.changed.add(node.func.value)
        if func.kind == "symbol" and func.name.startswith("torch.nn.init.") and node.args:
            self.changed.add(node.args[0].value)
        if func.kind == "builtin" and func.name in ("isinstance", "issubclass") and len(node.args) == 2:
            self._plain(node.args[1].value)

    def _plain(self, node: cst.CSTNode) -> None:
        self.plain.add(node)
        if isinstance(node, cst.Tuple | cst.List):
            for item in node.elements:
                self._plain(item.value)

    def visit_Comparison(self, node: cst.Comparison) -> None:
        for side in (node.left, *(c.comparator for c in node.comparisons)):
            self._plain(side)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        if self.analysis.is_path(node):
            self.skip.add(node.value)

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        if isinstance(node.target, cst.Attribute | cst.Subscript):
            self.skip.add(node.target)

    def visitImporter(self, node: cst.Import) -> bool:
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        if original_node in self.skip or not self.analysis.is_path(original_node):
            return updated_node
        return self.reference(original_node, updated_node)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        if original_node in self.skip:
            return updated_node
        if self.analysis.is_path(original_node):
            return self.reference(original_node, updated_node)
        value = self.analysis.value(original_node.value)
        return self.attribute(original_node, updated_node, value)

    def attribute(self, original: cst.Attribute, updated: cst.Attribute, value: Value) -> cst.BaseExpression:
        """An attribute that is not called: a layer's parameter, a tensor's property."""
        name = original.attr.value
        if value.kind == "module" and value.name and not isinstance(value.of, ClassInfo):
            found = [table.find(n) for n in value.name.split("|")]
            names = {row.weights.get(name, name) for row in found if row is not None}
            if len(names) > 1:
                self.attention(original, f".{name}", f"is {' or '.join(sorted(names))}, by the class of the layer")
                return updated
            new = next(iter(names), name)
            if new != name and "." not in new:
                return updated.with_changes(attr=cst.Name(new))
        if value.kind == "tensors" and name in ("values", "indices"):
            place = cst.SubscriptElement(cst.Index(cst.Integer("0" if name == "values" else "1")))
            return cst.Subscript(updated.value, [place])
        kind = _OBJECTS.get(value.kind)
        if kind is None:
            return updated
        row = table.find(f"{kind}.{name}")
        if kind == "Tensor" and name == "data" and self._recorded() and original not in self.changed:
            self.converted(original, code(original), "ops.stop_gradient")
            return fill(self.imported(cst.parse_expression("ops.stop_gradient(x)")), {"x": updated.value})
        if row is not None and kind == "Tensor" and row.parameters is not None and row.to != f"self.{name}":
            self.attention(original, row.name, "only its calls have a MindSpore form")
        if row is None or row.parameters is not None or not isinstance(row.to, str) or row.to == f"self.{name}":
            return updated
        return self._reference_to(row, original, updated.value)

    def _reference_to(self, row: Row, original: cst.BaseExpression, receiver: cst.BaseExpression) -> cst.BaseExpression:
        if row.note:
            self.note(original, row.name, row.note)
        assert isinstance(row.to, str)
        self.converted(original, code(original), row.to.replace("self", code(receiver)))
        return fill(self.imported(cst.parse_expression(row.to)), {"self": receiver})

    def reference(self, original: cst.BaseExpression, updated: cst.BaseExpression) -> cst.BaseExpression:
        """A PyTorch name that is not called: a class passed on, a dtype, a base class."""
        name = self.analysis.value(original).name
        if not is_library(name) or name in _NAMESPACES:
            return updated
        row = table.find(name)
        right = row.to if row is not None and isinstance(row.to, str) else row.reference if row is not None else ""
        if row is None or not right:
            if row is None or original not in self.plain:
                self.attention(
                    original, name, "no MindSpore form is known" if row is None else "only its calls have one"
                )
            return self.keep(original, updated)
        target = parse(right, tuple(p.name for p in row.parameters or ()))
        if not target.function:
            if row.parameters is None:
                self.converted(original, name, right)
                return parenthesized(self.imported(target.expression))
            self.attention(original, name, "only its calls have a MindSpore form")
            return self.keep(original, updated)
        self.converted(original, name, target.function)
        function = self.imported(cst.parse_expression(target.function))
        if original in self.plain or target.arguments is None:
            return function
        fixed = []
        defaults = {p.name: p.default for p in row.parameters or ()}
        for argument in target.arguments:
            if not argument.keyword:
                continue
            if not argument.uses:
                fixed.append(cst.Arg(argument.value, cst.Name(argument.keyword), equal=EQUAL))
            elif argument.uses[0] in row.changed and len(argument.uses) == 1 and argument.keyword:
                default = cst.parse_expression(defaults[argument.uses[0]] or "None")
                value = fill(argument.value, {argument.uses[0]: default})
                fixed.append(cst.Arg(value, cst.Name(argument.keyword), equal=EQUAL))
        if not fixed:
            return function
        return cst.Call(cst.Name(self.use("partial")), lay_out([cst.Arg(function), *fixed], []))

    @cached_property
    def saves(self) -> bool:
        """Whether the file writes or reads checkpoints."""
        return any(v.kind == "symbol" and v.name in ("torch.save", "torch.load") for v in self.analysis.values.values())

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.BaseExpression:
        """`"best.pth.tar"`, wherever a checkpoint's path is made."""
        if original_node in self.standing or "://" in original_node.value or not self.saves:
            return updated_node
        return cst.ensure_type(updated_node.visit(Suffix(".pth.tar", ".pth", ".pt")), cst.SimpleString)

    def leave_FormattedStringText(
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        """Likewise in an f-string."""
        if not self.saves:
            return updated_node
        return cst.ensure_type(updated_node.visit(Suffix(".pth.tar", ".pth", ".pt")), cst.FormattedStringText)

    def leave_FormattedStringExpression(
        self, original_node: cst.FormattedStringExpression, updated_node: cst.FormattedStringExpression
    ) -> cst.FormattedStringExpression:
        """`f"{loss:.4f}"`: MindSpore formats numbers, not tensors."""
        if original_node.format_spec is None or self.analysis.value(original_node.expression).kind != "tensor":
            return updated_node
        number = cst.Call(cst.Attribute(parenthesized(updated_node.expression), cst.Name("item")))
        return updated_node.with_changes(expression=number)

    def _formatted(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        """`"{:.4f}".format(loss)`, likewise."""
        values = [self.analysis.value(a.value).kind == "tensor" and not a.star for a in original.args]
        args = [
            new.with_changes(value=cst.Call(cst.Attribute(parenthesized(new.value), cst.Name("item"))))
            if known
            else new
            for new, known in zip(updated.args, values, strict=True)
        ]
        return updated.with_changes(args=args)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        if original_node in self.planner.done and original_node not in self.planner.failed:
            assert isinstance(updated_node.func, cst.Attribute)
            loss = updated_node.func.value
            if "scale" in code(loss) and isinstance(loss, cst.Call) and self.planner_scaled(original_node):
                loss = loss.args[0].value
            self.losses[original_node] = code(loss)
            self.converted(original_node, code(original_node), "ms.value_and_grad")
            return DROP
        updated_node = updated_node.with_changes(func=parenthesized(updated_node.func))
        func = self.analysis.value(original_node.func)
        place = original_node.func
        if isinstance(place, cst.Attribute) and place.attr.value == "format" and ":" in str(literal(place.value)):
            return self._formatted(original_node, updated_node)
        if original_node in self.planner.steps or original_node in self.contexts:
            return updated_node
        if func.kind == "builtin" and func.name == "next" and original_node.args:
            inner = original_node.args[0].value
            if isinstance(inner, cst.Call) and self.analysis.value(inner.func).name.startswith("Module."):
                wrapped = cst.Call(cst.Name("iter"), [cst.Arg(updated_node.args[0].value)])
                return updated_node.with_changes(
                    args=[updated_node.args[0].with_changes(value=wrapped), *updated_node.args[1:]]
                )
        if func.kind == "symbol" and is_library(func.name):
            return self.library_call(func.name, original_node, updated_node)
        if func.kind == "module" and func.name and not isinstance(func.of, ClassInfo):
            layer = table.find(func.name)
            row = table.call_of(layer) if layer is not None else None
            return self.convert(row, original_node, updated_node, updated_node.func, True) if row else updated_node
        if isinstance(original_node.func, cst.Attribute) and (func.kind == "bound" or not func):
            return self.method_call(func, original_node, updated_node)
        return updated_node

    def library_call(self, name: str, original: cst.Call, updated: cst.Call) -> cst.BaseExpression:
        """A call of a PyTorch function or class."""
        row = table.find(name)
        path = self.analysis.is_path(original.func)
        if row is None:
            self.attention(original, table.canonical(name), "no MindSpore form is known")
            return updated.with_changes(func=self.keep(original.func, updated.func)) if path else updated
        return self.convert(row, original, updated, None, path)

    def method_call(self, func: Value, original: cst.Call, updated: cst.Call) -> cst.BaseExpression:
        """A call of a method of a tensor, module, optimizer, …"""
        assert isinstance(original.func, cst.Attribute) and isinstance(updated.func, cst.Attribute)
        method = original.func.attr.value
        if not func:
            owner = UNRESOLVED_METHODS.get(method) if self.analysis.uses_torch else None
            if method == "detach" and original in self.standing:
                owner = None  # of a socket or a stream: for a tensor it would do nothing
            if method in ("cuda", "cpu", "requires_grad_") and owner_by_name(code(original.func.value)) == "module":
                owner = "Module"
            if method == "to" and self.analysis.value(original).kind == "tensor":
                owner = "Tensor"
            if method == "size" and len(original.args) == 1 and integer(original.args[0].value) is not None:
                owner = "Tensor" if self.analysis.uses_torch else None  # `x.size(0)`: nothing else is asked like that
            if method in ("train", "eval") and owner_by_name(code(original.func.value)) == "module":
                owner = "Module" if self.analysis.uses_torch else None
            if method == "type" and original.args and self.analysis.value(original.args[0].value).kind == "symbol":
                owner = "Tensor"
            if method in ("state_dict", "load_state_dict") and self.analysis.uses_torch:
                owner = owner_by_name(code(original.func.value)).capitalize()
                if not owner:
                    self.attention(original, f".{method}", "whether it is a network's or an optimizer's is not known")
            if not owner:
                return updated
            name = f"{owner}.{method}"
        else:
            name = func.name
        row = table.find(name)
        if row is None and method.endswith("_") and name.startswith("Tensor."):
            row = table.find(name[:-1])
            if row is not None:
                result = self.convert(row, original, updated, updated.func.value, True)
                if result is updated:
                    return result
                self.assigned[original] = result
                return result
        if row is None:
            if name.startswith("Tensor."):
                self.attention(original, name, "no MindSpore form is known")
            return updated
        return self.convert(row, original, updated, updated.func.value, True)

    def convert(
        self, row: Row, original: cst.Call, updated: cst.Call, receiver: cst.BaseExpression | None, path: bool
    ) -> cst.BaseExpression:
        """One call by its row; left as it is, with a comment, when it does not fit."""
        try:
            result = self._convert(row, original, updated, receiver, path)
        except NoForm as reason:
            self.attention(original, row.name, str(reason))
            return updated.with_changes(func=self.keep(original.func, updated.func)) if path else updated
        if row.note:
            self.note(original, row.name, row.note)
        target = "(dropped)" if result is DROP else " ".join(code(result).split())
        self.converted(original, " ".join(code(original).split()), target)
        return result

    def _convert(
        self, row: Row, original: cst.Call, updated: cst.Call, receiver: cst.BaseExpression | None, path: bool
    ) -> cst.BaseExpression:
        if isinstance(row.to, str) and (row.parameters is None or row.to.replace(".", "").replace("_", "").isalnum()):
            return self._renamed(row, updated, receiver, path)
        bound = bind(row.parameters or (), updated.args)
        if row.name.startswith("torch.nn.init.") and (tensor := bound.given.get("tensor")) is not None:
            value = tensor.value
            if isinstance(value, cst.Attribute) and value.attr.value == "data":
                bound.given["tensor"] = tensor.with_changes(value=value.value)
        call = Call(row, original, updated, bound, self, receiver)
        if isinstance(original.func, cst.Attribute):
            call.receiver_value = self.analysis.value(original.func.value)
        if callable(row.to):
            call.path = path
            result = row.to(call)
            assert isinstance(result, cst.BaseExpression)
            return result
        return self.apply_target(call, row.to, path)

    def apply_target(self, call: Call, text: str, path: bool = True) -> cst.BaseExpression:
        """A call by the right side `text`."""
        row, updated, bound, receiver = call.row, call.updated, call.bound, call.receiver
        target = parse(text, (*(("self",) if receiver is not None else ()), *(p.name for p in row.parameters or ())))
        variadic = None
        if bound.variadic:
            index = call.original.args.index(next(a for a in call.original.args if a.keyword is None)) + sum(
                1
                for p in (row.parameters or ())
                if p.kind == "" and p.name in bound.given and bound.given[p.name].keyword is None
            )
            known = self.analysis.value(call.original.args[min(index, len(call.original.args) - 1)].value)
            sequence = known.kind in ("tuple", "list", "size", "tensors") or isinstance(
                bound.variadic[0].value, cst.Tuple | cst.List
            )
            variadic = variadic_value(bound.variadic, sequence)
        if target.arguments is None:
            return self._filled(row, target.expression, bound, variadic, receiver, path)
        arguments = call_arguments(row, target, bound, variadic, receiver, self.imported, call.looked_at)
        arguments = lay_out(arguments, updated.args)
        if bound.kwargs is not None:
            self._pass_on(row, target.arguments, call)
        if not path:
            return updated.with_changes(args=arguments)
        function = fill(self.imported(cst.parse_expression(target.function)), {"self": receiver} if receiver else {})
        return updated.with_changes(func=function, args=arguments)

    def _pass_on(self, row: Row, arguments: Sequence[object], call: Call) -> None:
        renamed = []
        for argument in arguments:
            keyword, uses = argument.keyword, argument.uses  # type: ignore[attr-defined]
            if keyword and uses and keyword not in uses and not any(u in call.bound.given for u in uses):
                renamed.append(f"{uses[0]} is {keyword}")
        if renamed:
            self.attention(
                call.original, row.name, "**kwargs is passed on as it is; in MindSpore " + ", ".join(renamed)
            )

    def _renamed(
        self, row: Row, updated: cst.Call, receiver: cst.BaseExpression | None, path: bool
    ) -> cst.BaseExpression:
        """A row that takes the arguments as they are."""
        args = []
        for arg in updated.args:
            if arg.keyword is not None and (arg.keyword.value in PLACEMENT or arg.keyword.value in row.ignored):
                continue
            if arg.keyword is not None and arg.keyword.value == "out":
                raise NoForm("its argument out has no MindSpore form")
            args.append(arg)
        args = lay_out(args, updated.args)
        if not path:
            return updated.with_changes(args=args)
        assert isinstance(row.to, str)
        function = self.imported(cst.parse_expression(row.to))
        if receiver is not None:
            function = fill(function, {"self": receiver})
        return updated.with_changes(func=function, args=args)

    def _filled(
        self,
        row: Row,
        expression: cst.BaseExpression,
        bound: Bound,
        variadic: cst.BaseExpression | None,
        receiver: cst.BaseExpression | None,
        path: bool,
    ) -> cst.BaseExpression:
        """A row whose right side is a general expression."""
        if not path:
            raise NoForm("it is called through a variable")
        if (bound.star is not None and not bound.variadic) or bound.kwargs is not None:
            raise NoForm("it is called with * or **")
        values: dict[str, cst.BaseExpression] = {}
        for parameter in row.parameters or ():
            if parameter.name in bound.given:
                values[parameter.name] = bound.given[parameter.name].value
            elif parameter.kind == "*" and variadic is not None:
                values[parameter.name] = variadic
            elif parameter.default is not None:
                values[parameter.name] = cst.parse_expression(parameter.default)
        if receiver is not None:
            values["self"] = receiver
        used = {n for n in values if n in words_of(code(expression))}
        missing = [
            p.name for p in row.parameters or () if p.name in words_of(code(expression)) and p.name not in values
        ]
        if missing:
            raise NoForm(f"its argument {missing[0]} is not given")
        check_unused(row, bound, used)
        return parenthesized(fill(self.imported(expression), values))

    # ---- statements ----

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            self.marks.append([])
            self.regions += node in self.region_nodes
        return super().on_visit(node)

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> object:  # type: ignore[override]
        result = super().on_leave(original_node, updated_node)
        if isinstance(original_node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            marks = self.marks.pop()
            self.regions -= original_node in self.region_nodes
            if marks and isinstance(result, cst.FlattenSentinel):
                first, *rest = result.nodes
                result = cst.FlattenSentinel([commented(first, marks), *rest])
            elif marks and isinstance(result, cst.CSTNode):
                result = commented(result, marks)
            elif marks and self.marks:
                self.marks[-1].extend(marks)
            self.results[original_node] = result
        return result

    def leave_ExceptHandler(
        self, original_node: cst.ExceptHandler, updated_node: cst.ExceptHandler
    ) -> cst.ExceptHandler:
        """libcst forgets this space."""
        return updated_node.with_changes(whitespace_before_colon=original_node.whitespace_before_colon)

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        for base in node.bases:
            self.plain.add(base.value)
        self.class_stack.append(self.analysis.classes.get(node))
        self.outer_functions.append(self.function_stack)
        self.function_stack = []

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        self.class_stack.pop()
        self.function_stack = self.outer_functions.pop()
        return updated_node

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.function_stack.append(node.name.value)
        self.planner.functions.append(node)
        self.planner.loops.append([])

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        self.function_stack.pop()
        self.planner.functions.pop()
        self.planner.loops.pop()
        owner = self.class_stack[-1] if self.class_stack else None
        method = owner is not None and owner.kind == "module" and not self.function_stack
        if method and original_node.name.value == "forward":
            self.converted(original_node, "def forward", "def construct")
            return updated_node.with_changes(name=cst.Name("construct"))
        return updated_node

    def visit_Expr(self, node: cst.Expr) -> None:
        self.standing.add(node.value)

    def visit_Module(self, node: cst.Module) -> None:
        self.derivatives.visit_block(node, node)
        self.planner.visit_block(node)
        self._mark_regions(node)

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> None:
        self.derivatives.visit_block(node, self.planner.functions[-1])
        self.planner.visit_block(node)
        self._mark_regions(node)

    def _mark_regions(self, block: cst.CSTNode) -> None:
        plan = self.planner.plans.get(block)
        for backward in plan.backwards if plan is not None else ():
            assert plan is not None
            self.region_nodes.update(plan.body[backward.first : backward.last + 1])

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        body, comments = settle(self._body(original_node, updated_node.body))
        if not body and original_node.body:
            body = [cst.SimpleStatementLine([cst.Pass()], leading_lines=comments)]
            comments = []
        return updated_node.with_changes(body=body, footer=[*comments, *updated_node.footer])

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        body, comments = settle(self._body(original_node, updated_node.body))
        return updated_node.with_changes(body=body, footer=[*comments, *updated_node.footer])

    def _body(
        self, original: cst.Module | cst.IndentedBlock, body: Sequence[cst.BaseStatement]
    ) -> Sequence[cst.BaseStatement]:
        """The statements of a block, with its training steps put together."""
        plan = self.planner.plans.get(original)
        if plan is not None:
            losses = {b.loss: self.losses.get(b.call, code(b.loss)) for one in plan.backwards for b in (one, *one.more)}
            built = self.planner.build(plan, self._converted, losses.__getitem__, settle)
            body = [self._imported_statement(s) for s in built]
        elif any(s in self.planner.before or s in self.derivatives.places for s in original.body):
            body = [made for statement in original.body for made in self._converted(statement)]
        return body

    def _converted(self, statement: cst.CSTNode) -> list[cst.BaseStatement]:
        """What became of a statement, and what goes before it."""
        derivative = self.derivatives.places.get(statement)
        before = self.planner.before.get(statement, [])
        if derivative is not None and derivative.call in self.outputs:
            before = [*before, *self.derivatives.function_of(derivative, self.outputs, self._result)]
        return before if statement in self.derivatives.moved else [*before, *self._result(statement)]

    def _result(self, statement: cst.CSTNode) -> list[cst.BaseStatement]:
        """What became of a statement."""
        result = self.results.get(statement, statement)
        if isinstance(result, cst.FlattenSentinel):
            return list(result.nodes)
        return [result] if isinstance(result, cst.BaseStatement) else []

    def _imported_statement(self, statement: cst.BaseStatement) -> cst.BaseStatement:
        """Imports what the training step itself names."""
        if isinstance(statement, cst.SimpleStatementLine):
            text = code(statement)
            if "ms.value_and_grad" in text:
                statement = statement.visit(Importer(self))  # type: ignore[assignment]
        return statement

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        if len(original_node.body) == 1 and isinstance(original_node.body[0], cst.Expr | cst.Assign):
            call = original_node.body[0].value
            if isinstance(call, cst.Call) and call in self.planner.steps:
                lines = self.planner.steps[call]
                self.converted(original_node, code(call), "; ".join(lines) or "(dropped)")
                return self._instead(updated_node, lines)
            if call in self.lines:
                return self._instead(updated_node, self.lines[call])
        body = [self._assignment(o, n) for o, n in zip(original_node.body, updated_node.body, strict=True)]
        updated_node = updated_node.with_changes(body=body)
        kept = [small for small in updated_node.body if not is_dropped(small)]
        if kept and len(kept) < len(updated_node.body):
            kept[-1] = kept[-1].with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
            return updated_node.with_changes(body=kept)
        return updated_node

    def _assignment(self, original: cst.BaseSmallStatement, updated: cst.BaseSmallStatement) -> cst.BaseSmallStatement:
        """`x.add_(y)` as a statement: `x = x.add(y)`, or `p.set_data(…)` for a parameter."""
        if isinstance(original, cst.Assign) and isinstance(updated, cst.Assign):
            return self._plain_assignment(original, updated)
        if not isinstance(original, cst.Expr) or not isinstance(updated, cst.Expr):
            return updated
        if original.value not in self.assigned or not isinstance(original.value, cst.Call):
            return updated
        place: cst.BaseExpression = original.value.func
        while isinstance(place, cst.Attribute | cst.Call):
            if isinstance(place, cst.Call):
                place = place.func
            elif place.attr.value.endswith("_") and not place.attr.value.endswith("__"):
                place = place.value
            else:
                break
        if isinstance(place, cst.Attribute) and place.attr.value == "data":
            template = self.imported(cst.parse_expression("ops.assign(parameter, value)"))
            return updated.with_changes(value=fill(template, {"parameter": place.value, "value": updated.value}))
        if isinstance(place, cst.Name | cst.Subscript) and self._stays(original.value.func, place):
            template = self.imported(cst.parse_expression("ops.assign(parameter, value)"))
            return updated.with_changes(value=fill(template, {"parameter": place, "value": updated.value}))
        if isinstance(place, cst.Name | cst.Attribute | cst.Subscript):
            return cst.Assign([cst.AssignTarget(place)], updated.value)
        return updated

    def _stays(self, func: cst.BaseExpression, place: cst.BaseExpression) -> bool:
        """Whether what is changed in place is a parameter, which must stay the same object."""
        while isinstance(func, cst.Attribute | cst.Call) and code(func) != code(place):
            func = func.func if isinstance(func, cst.Call) else func.value
        return self.analysis.value(func).of == "parameter" or code(place) in self.optimized

    @cached_property
    def optimized(self) -> set[str]:
        """The tensors that optimizers are given by name: `Adam([image])`."""
        found = set()
        for node, value in self.analysis.values.items():
            first = node.args[0].value if isinstance(node, cst.Call) and node.args else None
            if value.kind == "optimizer" and isinstance(first, cst.List | cst.Tuple):
                found |= {code(e.value) for e in first.elements if isinstance(e.value, cst.Name | cst.Attribute)}
        return found

    @cached_property
    def weights(self) -> set[cst.CSTNode]:
        """The calls of `torch.load` of which the file does nothing but give the result to a `load_state_dict`."""
        calls = [n for n in self.analysis.values if isinstance(n, cst.Call) and n.args]
        named = "load_state_dict"
        given = {c.args[0].value for c in calls if isinstance(c.func, cst.Attribute) and c.func.attr.value == named}
        if not any(value.name == "torch.load" for value in self.analysis.values.values()):
            return set(given)
        names = [n for n in self.analysis.values if isinstance(n, cst.Name)]
        found: set[cst.CSTNode] = set(given)
        for node in m.findall(self.analysis.module, m.Assign([m.AssignTarget(m.Name())], m.Call())):
            assert isinstance(node, cst.Assign)
            target = node.targets[0].target
            assert isinstance(target, cst.Name) and isinstance(node.value, cst.Call)
            if self.analysis.value(node.value.func).name != "torch.load":
                continue
            uses = {n for n in names if n.value == target.value} - {target}
            if uses and uses <= given:
                found.add(node.value)
        return found

    def reads_dataset(self) -> bool:
        """Whether the file looks at `loader.dataset`."""
        return any(
            isinstance(node, cst.Attribute) and node.attr.value == "dataset" and value.kind == "bound"
            for node, value in self.analysis.values.items()
        )

    def _is_rate(self, node: cst.BaseExpression) -> bool:
        """Whether an expression is the learning rate of a parameter group, a parameter in MindSpore."""
        if (
            not isinstance(node, cst.Subscript)
            or self.analysis.value(node.value).kind != "group"
            or len(node.slice) != 1
        ):
            return False
        index = node.slice[0].slice
        return isinstance(index, cst.Index) and literal(index.value) == "lr"

    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        self.skip.add(node.target)

    def leave_AugAssign(self, original_node: cst.AugAssign, updated_node: cst.AugAssign) -> cst.BaseSmallStatement:
        """`group["lr"] *= 0.1` sets a parameter."""
        operators = {cst.MultiplyAssign: "*", cst.DivideAssign: "/", cst.AddAssign: "+", cst.SubtractAssign: "-"}
        sign = operators.get(type(original_node.operator))
        target = original_node.target
        kept = isinstance(target, cst.Name | cst.Subscript) and self.analysis.value(target).of == "parameter"
        if sign is None or not (kept or self._is_rate(target)):
            return updated_node
        template = self.imported(cst.parse_expression(f"ops.assign(rate, rate {sign} value)"))
        return cst.Expr(fill(template, {"rate": updated_node.target, "value": updated_node.value}))

    def leave_Subscript(self, original_node: cst.Subscript, updated_node: cst.Subscript) -> cst.BaseExpression:
        """`group["lr"]` read is a number; the first of the gradients with respect to one tensor is that gradient."""
        if (
            original_node.value in self.derivatives.single
            and isinstance(updated_node.value, cst.Tuple)
            and len(original_node.slice) == 1
            and isinstance(original_node.slice[0].slice, cst.Index)
            and integer(original_node.slice[0].slice.value) == 0
        ):
            return updated_node.value.elements[0].value
        if original_node in self.skip or not self._is_rate(original_node):
            return updated_node
        self.converted(original_node, code(original_node), f"float({code(updated_node)})")
        return cst.Call(cst.Name("float"), [cst.Arg(updated_node)])

    def _plain_assignment(self, original: cst.Assign, updated: cst.Assign) -> cst.BaseSmallStatement:
        """Assignments that became empty go; a network that is made for training is set to train."""
        target = original.targets[0].target
        if self._is_rate(target) and len(original.targets) == 1:
            self.converted(original, code(original), "ops.assign")
            template = self.imported(cst.parse_expression("ops.assign(rate, value)"))
            return cst.Expr(fill(template, {"rate": updated.targets[0].target, "value": updated.value}))
        if (
            isinstance(target, cst.Attribute)
            and target.attr.value == "data"
            and len(original.targets) == 1
            and self.analysis.value(target).kind == "tensor"
            and isinstance(updated.targets[0].target, cst.Attribute)
        ):
            self.converted(original, code(original), "ops.assign")
            template = self.imported(cst.parse_expression("ops.assign(parameter, value)"))
            return cst.Expr(fill(template, {"parameter": updated.targets[0].target.value, "value": updated.value}))
        if dotted(target) and self.analysis.is_path(root_of(target)) and isinstance(target, cst.Attribute):
            full = self.analysis.value(root_of(target)).name + dotted(target).removeprefix(dotted(root_of(target)))
            if is_library(full) and ".backends." in full:
                self.converted(original, code(original), "(dropped)")
                return cst.Expr(DROP)
        if len(updated.targets) == 1:
            left, right = code(updated.targets[0].target).strip(), code(updated.value).strip()
            if left == right and code(original.value).strip() != left:
                return cst.Expr(DROP)
        value = self.analysis.value(original.value)
        if value.kind == "symbol" and value.name in _NAMESPACES and isinstance(target, cst.Name):
            return cst.Expr(DROP)  # an alias of a module: what it named is converted where it is used
        if (
            value.kind == "module"
            and isinstance(original.value, cst.Call)
            and isinstance(target, cst.Name | cst.Attribute)
            and (isinstance(value.of, ClassInfo) or value.name in ("", "torch.nn.Sequential"))
            and not any(c is not None and c.kind in ("module", "function") for c in self.class_stack)
            and not self._sets_mode(code(target))
            and self._makes_module(original.value)
        ):
            return updated.with_changes(value=cst.Call(cst.Attribute(updated.value, cst.Name("set_train"))))
        return updated

    def _makes_module(self, call: cst.BaseExpression) -> bool:
        """Whether an expression builds a network, rather than asks one for a part."""
        while isinstance(call, cst.Call):
            kind = self.analysis.value(call.func).kind
            if kind in ("class", "function", "symbol"):
                return True
            if not isinstance(call.func, cst.Attribute):
                return False
            call = call.func.value
        return False

    def _sets_mode(self, name: str) -> bool:
        """Whether the file itself says in which mode a network is."""
        if self.text is None:
            self.text = self.analysis.module.code
        return f"{name}.train(" in self.text or f"{name}.eval(" in self.text

    def is_statement(self, call: cst.Call) -> bool:
        """Whether a call stands alone as a statement."""
        return call in self.standing

    def is_data(self, call: Call) -> bool:
        """Whether a method is called on a parameter, or on the data of one."""
        func = call.original.func
        if not isinstance(func, cst.Attribute):
            return False
        owner = func.value
        return isinstance(owner, cst.Attribute) and (
            owner.attr.value == "data" or self.analysis.value(owner.value).kind == "module"
        )

    def _instead(
        self, statement: cst.SimpleStatementLine, lines: Sequence[str]
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """Other statements in the place of one, under its comments."""
        made = [s.visit(Importer(self)) for s in statements_of(lines)]
        if not made:
            return statement.with_changes(body=[cst.Expr(DROP)])
        made[0] = made[0].with_changes(leading_lines=statement.leading_lines)  # type: ignore[union-attr]
        if isinstance(made[-1], cst.SimpleStatementLine):
            made[-1] = made[-1].with_changes(trailing_whitespace=statement.trailing_whitespace)
        return cst.FlattenSentinel(made)  # type: ignore[arg-type]

    def planner_scaled(self, call: cst.Call) -> bool:
        """Whether a backward goes through a gradient scaler."""
        plans = self.planner.plans.values()
        return any(call in (b.call, b.other) and b.scaler is not None for p in plans for b in p.backwards)

    def visit_For(self, node: cst.For) -> None:
        self.planner.loops[-1].append(node)
        self._walks(node.iter)

    def visit_CompFor(self, node: cst.CompFor) -> None:
        self._walks(node.iter)

    def _walks(self, node: cst.BaseExpression) -> None:
        """Notes the calls that a loop walks through, also within zip, enumerate or list."""
        if isinstance(node, cst.Call):
            self.iterated.add(node)
            for argument in node.args:
                self._walks(argument.value)

    def leave_For(
        self, original_node: cst.For, updated_node: cst.For
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        self.planner.loops[-1].pop()
        made = self.planner.trained.get(original_node)
        if made is None and self.planner.trainers and isinstance(updated_node.body, cst.IndentedBlock):
            made = train_epochs(updated_node, updated_node.body.body, self.planner.trainers)
        if not made:
            return updated_node
        return cst.FlattenSentinel([made[0].with_changes(leading_lines=updated_node.leading_lines), *made[1:]])

    def visit_While(self, node: cst.While) -> None:
        self.planner.loops[-1].append(node)

    def leave_While(self, original_node: cst.While, updated_node: cst.While) -> cst.While:
        self.planner.loops[-1].pop()
        return updated_node

    def visit_With(self, node: cst.With) -> None:
        for item in node.items:
            call = item.item
            if isinstance(call, cst.Call) and self.analysis.value(call.func).name in _CONTEXTS:
                self.contexts.add(call)

    def leave_With(
        self, original_node: cst.With, updated_node: cst.With
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """`with torch.no_grad():` records nothing in MindSpore either, outside of a differentiated function."""
        kept: list[cst.WithItem] = []
        for item, new in zip(original_node.items, updated_node.items, strict=True):
            call = item.item
            name = self.analysis.value(call.func).name if isinstance(call, cst.Call) else ""
            if name not in _CONTEXTS:
                kept.append(new)
                continue
            if name in ("torch.no_grad", "torch.inference_mode") and self._recorded():
                context = cst.parse_expression(f"{self.use('ms')}._no_grad()")
                kept.append(new.with_changes(item=context))
                self.converted(original_node, name, "ms._no_grad")
            else:
                self.converted(original_node, name, "(dropped: gradients are recorded only inside value_and_grad)")
        if kept:
            last = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            return updated_node.with_changes(items=[*kept[:-1], last])
        body = list(updated_node.body.body)
        if not isinstance(updated_node.body, cst.IndentedBlock) or not body:
            body = [cst.SimpleStatementLine(list(updated_node.body.body))]  # type: ignore[arg-type]
        first = body[0]
        comment = updated_node.body.header.comment if isinstance(updated_node.body, cst.IndentedBlock) else None
        lines = [*updated_node.leading_lines, *([cst.EmptyLine(comment=comment)] if comment else [])]
        body[0] = first.with_changes(leading_lines=[*lines, *first.leading_lines])  # type: ignore[attr-defined]
        return cst.FlattenSentinel(body)  # type: ignore[arg-type]

    def _recorded(self) -> bool:
        """Whether the current place may run inside a differentiated function."""
        owner = self.class_stack[-1] if self.class_stack else None
        return self.regions > 0 or (owner is not None and owner.kind == "module")


_OBJECTS = {"tensor": "Tensor", "module": "Module", "optimizer": "Optimizer", "device": "Device"}
_NAMESPACES = frozenset(
    [
        "torch",
        "torch.nn",
        "torch.nn.functional",
        "torch.nn.init",
        "torch.optim",
        "torch.optim.lr_scheduler",
        "torch.utils",
    ]
)
_SHARED = ("argparse", "contextlib", "copy", "json", "numpy", "functools.partial", "math", "os", "random", "PIL.Image")
_CONTEXTS = frozenset(
    [
        "torch.no_grad",
        "torch.inference_mode",
        "torch.enable_grad",
        "torch.set_grad_enabled",
        "torch.autograd.set_detect_anomaly",
        "torch.autograd.detect_anomaly",
    ]
)
