"""Runs the examples of the table in both frameworks: PyTorch as written, MindSpore as converted."""

from __future__ import annotations

import ast
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf2ms.torch import convert_source
from tf2ms.torch.table import Example, Row
from tf2ms.torch.weights import places

HEADER = """import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import torch.optim.lr_scheduler as lr_scheduler
from torch.nn import init

"""


# Families with tests of another form: test_optimizers.py, test_initializers.py, test_training.py, test_loaders.py.
ELSEWHERE = {"optimizers", "initializers", "training", "data", "vision"}


def fixtures() -> dict[str, np.ndarray]:
    """The tensors that examples may name."""
    r = np.random.RandomState(0)

    def normal(*shape: int) -> np.ndarray:
        return r.randn(*shape).astype(np.float32)

    square = normal(4, 4)
    return {
        "x": normal(2, 3, 4),
        "y": normal(2, 3, 4),
        "z": normal(2, 3, 4),
        "p": r.uniform(0.2, 2.0, (2, 3, 4)).astype(np.float32),
        "q": r.uniform(0.2, 2.0, (2, 3, 4)).astype(np.float32),
        "u": r.uniform(-0.9, 0.9, (2, 3, 4)).astype(np.float32),
        "unit": r.uniform(0.05, 0.95, (2, 3, 4)).astype(np.float32),
        "rows": normal(5, 4),
        "rows2": normal(5, 4),
        "square": square,
        "spd": square @ square.T + 4 * np.eye(4, dtype=np.float32),
        "squares": normal(2, 4, 4) + 3 * np.eye(4, dtype=np.float32),
        "v": normal(4),
        "w": normal(4),
        "left": normal(2, 3, 4),
        "right": normal(2, 4, 5),
        "image": normal(2, 4, 8, 8),
        "image3": normal(2, 3, 8, 8),
        "small": normal(2, 4, 5, 6),
        "signal": normal(2, 4, 10),
        "volume": normal(2, 4, 6, 6, 6),
        "sequence": normal(5, 2, 4),
        "kernel": normal(6, 4, 3, 3),
        "kernel1": normal(6, 4, 3),
        "kernel3": normal(6, 4, 3, 3, 3),
        "kernelt": normal(4, 6, 3, 3),
        "six": normal(6),
        "matrix": normal(6, 4),
        "classes": np.array([0, 3, 1, 2, 1], dtype=np.int64),
        "ones5": np.array([1, -1, 1, 1, -1], dtype=np.float32),
        "probabilities": r.uniform(0.05, 0.95, (5, 4)).astype(np.float32),
        "targets": r.randint(0, 2, (5, 4)).astype(np.float32),
        "i": r.randint(0, 4, (2, 3, 4)).astype(np.int64),
        "j": r.randint(1, 4, (2, 3, 4)).astype(np.int64),
        "index": np.array([2, 0, 1], dtype=np.int64),
        "at": r.randint(0, 3, (2, 2, 4)).astype(np.int64),
        "b": r.rand(2, 3, 4) > 0.5,
        "d": r.rand(2, 3, 4) > 0.5,
        "sorted": np.sort(normal(7)),
        "ids": r.randint(0, 6, (2, 5)).astype(np.int64),
    }


@dataclass
class Case:
    """One example, ready to run."""

    row: Row
    example: Example
    number: int

    @property
    def id(self) -> str:
        """The test's name."""
        return f"{self.row.name.removeprefix('torch.')}-{self.example.code}"


@dataclass
class Source:
    """An example as a function, and how to call it."""

    text: str
    arguments: list[str]
    layer: bool


def source_of(case: Case) -> Source:
    """The function that the example becomes; a layer is made by it, and called by the test."""
    names = fixtures()
    code = case.example.code
    layer = code.startswith("nn.") and not code.startswith(("nn.init", "nn.utils", "nn.functional", "nn.Parameter"))
    layer = layer and "Loss(" not in code
    arguments: list[str]
    if layer:
        tree = ast.parse(code, mode="eval").body
        assert isinstance(tree, ast.Call)
        arguments = [ast.unparse(a) for a in tree.args]
        code = ast.unparse(tree.func)
        parameters = ""
        body = f"return {code}"
    else:
        used = {n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name)} & set(names)
        arguments = sorted(used)
        parameters = ", ".join(f"{a}: torch.Tensor" for a in arguments)
        *before, last = code.split("; ")
        body = "\n    ".join([*before, f"return {last}"])
    return Source(f"def case_{case.number}({parameters}):\n    {body}\n\n\n", arguments, layer)


def modules(cases: list[Case]) -> tuple[dict[int, Source], types.ModuleType, dict[int, types.ModuleType], str]:
    """All examples as one PyTorch module and one converted MindSpore module."""
    sources = {case.number: source_of(case) for case in cases}
    text = HEADER + "".join(s.text for s in sources.values())
    torch_module = types.ModuleType("torch_cases")
    exec(compile(text, "torch_cases", "exec"), torch_module.__dict__)
    converted = convert_source(text, "cases.py").text
    ms_module = types.ModuleType("ms_cases")
    exec(compile(converted, "ms_cases", "exec"), ms_module.__dict__)
    return sources, torch_module, ms_module, converted


def flat(value: Any) -> list[Any]:
    """The leaves of nested tuples and lists."""
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in flat(item)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in flat(item)]
    return [value]


def numpy_of(value: Any) -> Any:
    """A tensor of either framework as an array."""
    if hasattr(value, "detach") and hasattr(value, "resolve_conj"):
        return (
            value.detach().resolve_conj().cpu().numpy()
            if value.dtype.__str__() != "torch.bfloat16"
            else value.detach().float().numpy()
        )
    if hasattr(value, "asnumpy"):
        return value.asnumpy()
    return np.asarray(value)


def torch_result(
    case: Case, source: Source, module: Any, values: dict[str, np.ndarray], gradient: bool
) -> tuple[Any, list, Any]:
    """Outputs, gradients by argument, and the layer."""
    import torch

    torch.manual_seed(0)
    arguments = {n: torch.tensor(v) for n, v in values.items()}
    wants = [n for n in source.arguments if n in values and values[n].dtype == np.float32]
    if gradient:
        for n in wants:
            arguments[n].requires_grad_(True)
    function = getattr(module, f"case_{case.number}")
    made = None
    if source.layer:
        made = function()
        if hasattr(made, "train"):
            made.train()
        scope = {"torch": torch, **arguments}
        output = made(*[eval(a, scope) for a in source.arguments])
    else:
        output = function(*[arguments[n] for n in source.arguments])
    leaves = flat(output)
    grads: list[Any] = []
    if gradient:
        total = None
        for leaf in leaves:
            if isinstance(leaf, torch.Tensor) and leaf.requires_grad and leaf.is_floating_point():
                term = (leaf * torch.tensor(weights_like(tuple(leaf.shape)))).sum()
                total = term if total is None else total + term
        if total is not None:
            parameters = list(made.parameters()) if made is not None and hasattr(made, "parameters") else []
            grads = list(torch.autograd.grad(total, [*[arguments[n] for n in wants], *parameters], allow_unused=True))
    return leaves, grads, made


def weights_like(shape: tuple[int, ...]) -> np.ndarray:
    """A fixed cotangent of a shape."""
    count = int(np.prod(shape))
    return np.cos(np.arange(count, dtype=np.float32) * 0.7 + 0.3).reshape(shape)


def run(case: Case, source: Source, torch_module: Any, ms_module: Any) -> None:
    """Asserts that both frameworks agree on one example."""
    import mindspore as ms
    import torch

    values = fixtures()
    gradient = case.example.check == "values"
    expected, expected_grads, torch_layer = torch_result(case, source, torch_module, values, gradient)
    ms.set_seed(0)
    arguments = {n: ms.Tensor(v) for n, v in values.items()}
    function = getattr(ms_module, f"case_{case.number}")
    wants = [n for n in source.arguments if n in values and values[n].dtype == np.float32]
    cell = None
    if source.layer:
        cell = function()
        if hasattr(cell, "set_train"):
            cell.set_train()
        if torch_layer is not None and hasattr(torch_layer, "state_dict"):
            copy_weights(torch_layer, cell)

    def outputs(*given: Any) -> Any:
        named = dict(zip(wants, given, strict=True))
        scope = {**arguments, **named}
        if source.layer:
            return cell(*[eval(a, {"torch": _Shim, **scope}) for a in source.arguments])
        return function(*[scope[n] for n in source.arguments])

    inputs = [arguments[n] for n in wants]
    actual = flat(outputs(*inputs))
    compare(case, expected, actual)
    if not any(g is not None for g in expected_grads):
        return

    def total(*given: Any) -> Any:
        result = None
        for leaf, other in zip(flat(outputs(*given)), expected, strict=True):
            if isinstance(other, torch.Tensor) and other.requires_grad and other.is_floating_point():
                term = (leaf * ms.Tensor(weights_like(tuple(other.shape)))).sum()
                result = term if result is None else result + term
        return result

    parameters = []
    names: list[str] = []
    if cell is not None and torch_layer is not None and hasattr(cell, "get_parameters"):
        by_name = dict(cell.parameters_and_names())
        placed = {p.source: p for p in places(torch_layer)}
        names = [n for n, _ in torch_layer.named_parameters()]
        parameters = [by_name[placed[n].name] for n in names]
    positions = tuple(range(len(inputs))) if inputs else None
    grad = ms.grad(total, positions, parameters or None)(*inputs)
    by_input, by_parameter = grad if parameters and inputs else (grad, ()) if inputs else ((), grad)
    got = [*(by_input if isinstance(by_input, tuple | list) else [by_input]), *by_parameter]
    for position, (want, have) in enumerate(zip(expected_grads, got, strict=True)):
        want = np.zeros_like(numpy_of(have)) if want is None else numpy_of(want)
        have = numpy_of(have)
        label = [*wants, *names][position]
        close(f"gradient of {label}", want.reshape(have.shape), have, max(10 * case.example.tolerance, 1e-4))


class _Shim:
    """Lets a layer's example say `torch.zeros(…)` for an argument."""

    @staticmethod
    def zeros(*shape: int) -> Any:
        import mindspore as ms

        return ms.Tensor(np.zeros(shape, np.float32))


def copy_weights(torch_layer: Any, cell: Any) -> None:
    """The PyTorch layer's weights into the MindSpore cell, under the names of the table."""
    import mindspore as ms

    by_name = dict(cell.parameters_and_names())
    state = torch_layer.state_dict()
    for place in places(torch_layer):
        by_name[place.name].set_data(ms.Tensor(place.array(state[place.source].numpy())))


def compare(case: Case, expected: list[Any], actual: list[Any]) -> None:
    """Asserts equal outputs, as far as the example asks."""
    if len(expected) == 1 and expected[0] is None:
        return
    assert len(expected) == len(actual), f"{len(expected)} outputs in PyTorch, {len(actual)} in MindSpore"
    for position, (want, have) in enumerate(zip(expected, actual, strict=True)):
        if isinstance(want, str):
            assert want == have
            continue
        want, have = numpy_of(want), numpy_of(have)
        assert want.shape == have.shape, f"output {position}: shape {want.shape} in PyTorch, {have.shape} in MindSpore"
        if case.example.check == "shape":
            assert want.dtype.kind == have.dtype.kind
        elif case.example.check == "moments":
            assert abs(want.mean() - have.mean()) < 0.05 + 0.05 * abs(want.mean()), (want.mean(), have.mean())
            assert abs(want.std() - have.std()) < 0.02 + 0.05 * want.std(), (want.std(), have.std())
        else:
            kinds = {"b": "bool", "i": "whole", "u": "whole", "f": "float", "c": "complex"}
            assert kinds.get(want.dtype.kind) == kinds.get(have.dtype.kind), (
                f"{want.dtype} in PyTorch, {have.dtype} in MindSpore"
            )
            close(f"output {position}", want, have, case.example.tolerance)


def close(what: str, want: np.ndarray, have: np.ndarray, tolerance: float) -> None:
    """Asserts max|a-b| within tolerance of max|b|."""
    if want.dtype.kind in "bOSU":
        assert (want == have).all(), f"{what} differs"
        return
    if want.dtype.kind == "c" or have.dtype.kind == "c":
        assert np.abs(want - have).max(initial=0) <= tolerance * max(1, np.abs(want).max(initial=0)), f"{what} differs"
        return
    want, have = want.astype(np.float64), have.astype(np.float64)
    assert (np.isnan(want) == np.isnan(have)).all(), f"{what}: NaN in other places"
    with np.errstate(invalid="ignore"):
        difference = np.where(want == have, 0, np.abs(want - have))
        difference = np.nan_to_num(difference, nan=0.0, posinf=np.inf)
    finite = want[np.isfinite(want)]
    scale = max(1.0, float(np.abs(finite).max(initial=0)))
    assert difference.max(initial=0) <= tolerance * scale, (
        f"{what} differs by {difference.max(initial=0):.3g}, scale {scale:.3g}"
    )


def cases(rows: list[Row]) -> list[Case]:
    """The examples of rows, numbered."""
    return [Case(r, e, n) for n, (r, e) in enumerate((r, e) for r in rows for e in r.examples)]


def load_pair(path: Path, **replace: str) -> tuple[types.ModuleType, types.ModuleType]:
    """A script as it is, and as it is converted, both imported."""
    text = path.read_text()
    for old, new in replace.items():
        text = text.replace(old, new)
    converted = convert_source(text, path.name).text
    made = []
    for name, source in (("theirs", text), ("ours", converted)):
        module = types.ModuleType(f"{path.stem}_{name}")
        module.__file__ = str(path)
        exec(compile(source, f"{path.stem}_{name}.py", "exec"), module.__dict__)
        made.append(module)
    return made[0], made[1]


def assert_same_module(
    module: Any, cell: Any, *inputs: np.ndarray, forward: float = 1e-5, gradient: float = 1e-4, train: bool = True
) -> None:
    """Same weights, same input: same output, same gradients of every weight and of the first input."""
    import mindspore as ms
    import torch

    copy_weights(module, cell)
    module.train(train)
    cell.set_train(train)
    tensors = [torch.tensor(i) for i in inputs]
    floats = [n for n, t in enumerate(tensors) if t.is_floating_point()]
    for n in floats:
        tensors[n].requires_grad_(True)
    expected = flat(module(*tensors))
    total = sum((e * torch.tensor(weights_like(tuple(e.shape)))).sum() for e in expected)
    names = [n for n, _ in module.named_parameters()]
    grads = torch.autograd.grad(
        total, [*[tensors[n] for n in floats], *[p for _, p in module.named_parameters()]], allow_unused=True
    )
    placed = {p.source: p for p in places(module)}
    by_name = dict(cell.parameters_and_names())
    weights = [by_name[placed[n].name] for n in names]

    def function(*given: Any) -> Any:
        outputs = flat(cell(*given))
        return sum((o * ms.Tensor(weights_like(tuple(o.shape)))).sum() for o in outputs), outputs

    ours = [ms.Tensor(i) for i in inputs]
    positions = tuple(floats) or None
    (_, actual), found = ms.value_and_grad(function, positions, weights, has_aux=True)(*ours)
    for want, have in zip(expected, flat(actual), strict=True):
        close("output", numpy_of(want), numpy_of(have), forward)
    found = flat(found)
    for name, want, have in zip([*[f"input {n}" for n in floats], *names], grads, found, strict=True):
        have = numpy_of(have)
        wanted = np.zeros_like(have) if want is None else numpy_of(want).reshape(have.shape)
        close(f"gradient of {name}", wanted, have, gradient)


def assert_same_weights(module: Any, cell: Any, tolerance: float) -> None:
    """Every tensor of the state is equal."""
    by_name = dict(cell.parameters_and_names())
    state = module.state_dict()
    for place in places(module):
        close(place.name, place.array(numpy_of(state[place.source])), numpy_of(by_name[place.name]), tolerance)
