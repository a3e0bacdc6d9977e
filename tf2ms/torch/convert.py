"""From source text to source text: parse → names and types → rules → print."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from tf2ms.errors import SourceError, Tf2msError
from tf2ms.torch.analysis import Analysis
from tf2ms.torch.names import names_of
from tf2ms.torch.output import FROM, IMPORTS
from tf2ms.torch.report import FileReport
from tf2ms.torch.rewrite import Rewriter
from tf2ms.torch.scopes import dotted, is_library
from tf2ms.torch.steps import Package
from tf2ms.torch.values import UNKNOWN

MAX_BYTES = 20_000_000


@dataclass(frozen=True)
class Converted:
    """A converted file: its text and what was done."""

    text: str
    report: FileReport


def parse(text: str, path: str = "<script>") -> cst.Module:
    """Parses Python source.

    Raises: SourceError with the place of the mistake.
    """
    try:
        module = cst.parse_module(text)
        ast.parse(text)  # libcst takes some text that Python does not
        return module
    except SyntaxError as error:
        raise SourceError(f"{path}: not Python source: line {error.lineno}: {error.msg}") from error
    except cst.ParserSyntaxError as error:
        raise SourceError(f"{path}: not Python source: line {error.raw_line}: {error.message}") from error
    except (RecursionError, ValueError, UnicodeError) as error:
        raise SourceError(f"{path}: cannot be parsed: {error}") from error


def convert_source(text: str, path: str = "<script>", train_style: str = "functional") -> Converted:
    """Converts the text of one file.

    train_style: see `convert_package`.

    Raises: SourceError if it is no Python source, or imports PyTorch's names with a star.
    """
    return convert_package({path: text}, train_style)[path]


def convert_package(sources: Mapping[str, str], train_style: str = "functional") -> dict[str, Converted]:
    """Converts files that import each other; keys are their paths.

    train_style: how plain training steps are written: "functional" (`ms.value_and_grad`), "cells" (`nn.WithLossCell`
    and `nn.TrainOneStepCell` in the loop as it is) or "model" (the same cells, the loop as `Model.train`).

    Raises: SourceError, naming the file.
    """
    parsed: dict[str, cst.Module] = {}
    for path, text in sources.items():
        if "torch" in text:
            parsed[path] = parse(text, path)
        else:
            parse(text, path)
    wrappers = {path: MetadataWrapper(module, unsafe_skip_copy=True) for path, module in parsed.items()}
    modules: dict[str, Callable[[], Analysis]] = {}
    busy: set[str] = set()

    def analyser(path: str) -> Callable[[], Analysis]:
        @cache
        def analyse() -> Analysis:
            busy.add(path)
            return Analysis(parsed[path], module_name(path), available)

        return analyse

    class Available(dict[str, Callable[[], Analysis]]):
        """The other files; one whose analysis is under way (a circular import) is not yet known."""

        def __contains__(self, name: object) -> bool:
            return super().__contains__(name) and str(name) not in started

    package = _package(sources)
    started: set[str] = set()
    available = Available()
    for path in parsed:
        modules[path] = analyser(path)
        name = module_name(path)
        available[name] = _guarded(modules[path], name, started)
        inside = name.partition(".")[2]  # scripts of one folder import each other without its name
        if inside and inside not in available:
            available[inside] = available[name]
    result = {}
    for path, text in sources.items():
        if path not in parsed:
            result[path] = Converted(text, FileReport(path))
            continue
        try:
            result[path] = _convert(modules[path](), wrappers[path], text, path, train_style, package)
        except RecursionError as error:
            raise SourceError(f"{path}: nested too deeply to convert") from error
        except Tf2msError:
            raise
        except Exception as error:
            raise SourceError(
                f"{path}: cannot be converted: {type(error).__name__}: {error}; please report it"
            ) from error
    return result


def layers_by_attribute(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Attribute name → the PyTorch layer classes that the sources' modules assign to it."""
    found: dict[str, set[str]] = {}
    for path, text in sources.items():
        if "torch" not in text:
            continue
        for info in Analysis(parse(text, path), module_name(path)).classes.values():
            for name, value in info.attributes.items():
                if value.kind == "module" and value.name.startswith("torch.nn."):
                    found.setdefault(name, set()).add(value.name)
    return found


def _guarded(analyse: Callable[[], Analysis], name: str, started: set[str]) -> Callable[[], Analysis]:
    """An analysis that is not entered twice."""

    def run() -> Analysis:
        started.add(name)
        try:
            return analyse()
        finally:
            started.discard(name)

    return run


def module_name(path: str) -> str:
    """`pkg/sub/model.py` → `pkg.sub.model`; `pkg/__init__.py` → `pkg`."""
    parts = Path(path).with_suffix("").parts
    if parts and parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(p for p in parts if p not in ("/", "."))


def _package(sources: Mapping[str, str]) -> Package:
    """What each file must know of all."""
    texts = "\n".join(text for text in sources.values() if "torch" in text)
    return Package(
        distributed="DistributedDataParallel" in texts,
        freezes=re.search(r"requires_grad(_\(| *=(?!=)) *False|requires_grad *=(?!=) *[^TF\s]", texts) is not None,
        buffers=frozenset(re.findall(r"register_buffer\(\s*[\"'](\w+)[\"']", texts)),
    )


def _convert(
    analysis: Analysis, wrapper: MetadataWrapper, text: str, path: str, style: str, package: Package
) -> Converted:
    """Rewrites one analysed file."""
    if not analysis.uses_torch and not _knows_torch(analysis):
        return Converted(text, FileReport(path))
    positions = wrapper.resolve(PositionProvider)
    star = analysis.star
    if star is not None:
        line = positions[star].start.line
        raise SourceError(
            f"{path}: line {line}: a star import from {dotted(star.module) if star.module else ''}: "
            "its names cannot be told from the file's own; import them by name"
        )
    rewriter = Rewriter(analysis, positions, style, package)
    module = analysis.module.visit(rewriter)
    module = _imports(module, rewriter)
    result = module.code
    try:
        compile(result, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise SourceError(f"{path}: the converted text does not compile: {error}") from error
    return Converted(result, FileReport(path, tuple(rewriter.items)))


def _knows_torch(analysis: Analysis) -> bool:
    """Whether a file that does not import PyTorch uses what another file of the package made with it."""
    return any(v.kind not in ("", "symbol", "int", "str", "none", "bool", "float") for v in analysis.top.names.values())


_ImportT = TypeVar("_ImportT", cst.Import, cst.ImportFrom)


class _TorchImports(cst.CSTTransformer):
    """Takes out PyTorch's imports, except names that the file still uses."""

    def __init__(self, left: set[str]):
        self.left = left

    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import | cst.RemovalSentinel:
        return self._keep(updated_node, [a for a in updated_node.names if self._stays(a, "")])

    def leave_ImportFrom(
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom | cst.RemovalSentinel:
        if updated_node.relative or updated_node.module is None or isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        source = dotted(updated_node.module)
        if not is_library(source):
            return updated_node
        return self._keep(updated_node, [a for a in updated_node.names if self._stays(a, source)])

    def _stays(self, alias: cst.ImportAlias, source: str) -> bool:
        full = dotted(alias.name)
        if not is_library(source or full):
            return True
        local = dotted(alias.asname.name) if alias.asname is not None else full if source else full.partition(".")[0]
        return local in self.left

    def _keep(self, node: _ImportT, names: Iterable[cst.ImportAlias]) -> _ImportT | cst.RemovalSentinel:
        names = list(names)
        if not names:
            return cst.RemoveFromParent()
        assert not isinstance(node.names, cst.ImportStar)
        if len(names) == len(node.names):
            return node
        names[-1] = names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return node.with_changes(names=names)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        return updated_node if updated_node.body else cst.RemoveFromParent()

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        if updated_node.body or not original_node.body:
            return updated_node
        return updated_node.with_changes(body=[cst.SimpleStatementLine([cst.Pass()])])


def _imports(module: cst.Module, rewriter: Rewriter) -> cst.Module:
    """MindSpore's imports in the place of the first of PyTorch's."""
    lines = []
    helpers = _helpers(rewriter)
    for name, line in IMPORTS.items():
        if name in rewriter.needed:
            local = rewriter.alias[name]
            plain = line.rpartition(" ")[2]
            lines.append(line if local == plain else f"{line.partition(' as ')[0]} as {local}")
    for module_name_, names in FROM.items():
        used = [n for n in names if n in rewriter.needed]
        if used:
            parts = [n if rewriter.alias[n] == n else f"{n} as {rewriter.alias[n]}" for n in used]
            lines.append(f"from {module_name_} import {', '.join(parts)}")
    if rewriter.left_roots:
        own = rewriter.analysis.top.names
        lines += [f"import {r}" for r in sorted(rewriter.left_roots) if own.get(r, UNKNOWN).name != r]
    before = [s for s in module.body if _is_torch_import(s)]
    place = module.body.index(before[0]) if before else _after_header(module)
    ours = {*rewriter.alias.values(), *rewriter.helpers.values()}
    transformer = _TorchImports(rewriter.left | (_names_used(module) - ours))
    body: list[cst.BaseStatement] = []
    comments: list[cst.EmptyLine] = []
    for index, statement in enumerate(module.body):
        if index == place and lines:
            made = [cst.parse_statement(line + "\n") for line in lines]
            leading = statement.leading_lines if before and hasattr(statement, "leading_lines") else ()
            made[0] = made[0].with_changes(leading_lines=leading)
            body += made
            if before:
                statement = statement.with_changes(leading_lines=())
        visited = rewriter.analysis.nested_imports or _is_torch_import(statement)
        new = statement.visit(transformer) if visited else statement
        if isinstance(new, cst.BaseStatement):
            if comments:
                new = new.with_changes(leading_lines=[*comments, *new.leading_lines])
                comments = []
            body.append(new)
        elif hasattr(statement, "leading_lines"):
            comments += [line for line in statement.leading_lines if line.comment is not None]
    if place >= len(module.body) and lines:
        body += [cst.parse_statement(line + "\n") for line in lines]
    if helpers:
        first = next((i for i, s in enumerate(body) if isinstance(s, cst.FunctionDef | cst.ClassDef)), len(body))
        after = max((i for i, s in enumerate(body[:first]) if _is_import(s)), default=_after_header(module) - 1)
        body[after + 1 : after + 1] = helpers
        if after + 1 + len(helpers) < len(body):
            rest = body[after + 1 + len(helpers)]
            if not getattr(rest, "leading_lines", ()):
                body[after + 1 + len(helpers)] = rest.with_changes(leading_lines=[_BLANK, _BLANK])
    return module.with_changes(body=body)


_BLANK = cst.EmptyLine(indent=False)


@cache
def _helper_sources() -> dict[str, cst.BaseStatement]:
    """The definitions of the helpers by name."""
    folder = Path(__file__).parent / "helpers"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))]
    statements = [s for text in texts for s in cst.parse_module(text).body]
    return {s.name.value: s for s in statements if isinstance(s, cst.FunctionDef | cst.ClassDef)}


def _helpers(rewriter: Rewriter) -> list[cst.BaseStatement]:
    """Copies of the helpers that the file names, and of those that they name."""
    sources = _helper_sources()
    names = list(rewriter.helpers)
    for name in names:
        names += [n for n in names_of(sources[name]).reads if n in sources and n not in names]
    for name in names:
        if name not in rewriter.helpers:
            rewriter.help(name)
    renamed = {n: local for n, local in rewriter.helpers.items() if n != local}
    made = []
    for name in (n for n in sources if n in names):
        definition = sources[name].visit(_Rename(rewriter, renamed))
        made.append(definition.with_changes(leading_lines=[_BLANK, _BLANK]))  # type: ignore[union-attr]
    return made


class _Rename(cst.CSTTransformer):
    """A helper under the names of the file it goes to."""

    def __init__(self, rewriter: Rewriter, renamed: Mapping[str, str]):
        self.rewriter = rewriter
        self.renamed = renamed
        self.skip: set[cst.CSTNode] = set()

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self.skip.add(node.attr)

    def visit_Arg(self, node: cst.Arg) -> None:
        if node.keyword is not None:
            self.skip.add(node.keyword)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        name = original_node.value
        if original_node in self.skip:
            return updated_node
        if name in IMPORTS:
            return cst.Name(self.rewriter.use(name))
        return cst.Name(self.renamed[name]) if name in self.renamed else updated_node


def _names_used(module: cst.Module) -> set[str]:
    """The names that a file still speaks of."""
    try:
        tree = ast.parse(module.code)
    except (SyntaxError, ValueError):
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _is_import(statement: cst.CSTNode) -> bool:
    return isinstance(statement, cst.SimpleStatementLine) and any(
        isinstance(s, cst.Import | cst.ImportFrom) for s in statement.body
    )


def _is_torch_import(statement: cst.CSTNode) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    for small in statement.body:
        if isinstance(small, cst.Import) and any(is_library(dotted(a.name)) for a in small.names):
            return True
        if isinstance(small, cst.ImportFrom) and not small.relative and small.module is not None:
            return is_library(dotted(small.module))
    return False


def _after_header(module: cst.Module) -> int:
    """The place after the docstring and `from __future__` imports."""
    index = 0
    for position, statement in enumerate(module.body):
        if not isinstance(statement, cst.SimpleStatementLine):
            break
        small = statement.body[0]
        docstring = position == 0 and isinstance(small, cst.Expr) and isinstance(small.value, cst.SimpleString)
        future = isinstance(small, cst.ImportFrom) and small.module is not None and dotted(small.module) == "__future__"
        if not (docstring or future):
            break
        index = position + 1
    return index
