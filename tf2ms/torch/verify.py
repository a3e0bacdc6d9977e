"""Runs the PyTorch network and the converted one on the same input with the same weights, and compares.

Each framework runs in a process of its own, so that both files may have the same name; arrays go from one to the other
in a file. Both networks are in evaluation mode, so that dropout does not matter.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tf2ms.errors import SourceError, VerifyError

FORWARD, GRADIENT = 1e-4, 1e-3


@dataclass(frozen=True)
class Difference:
    """How far one output or gradient is off, relative to its largest value."""

    what: str
    relative: float
    bar: float

    @property
    def holds(self) -> bool:
        """Whether it is within the bar."""
        return self.relative <= self.bar


@dataclass(frozen=True)
class Evidence:
    """What a verification found; `names` is PyTorch's name → (MindSpore's name, layer) for every weight."""

    differences: tuple[Difference, ...]
    missing: tuple[str, ...]
    names: dict[str, tuple[str, str]]

    def summary(self) -> str:
        """The lines that the command prints."""
        outputs = [d for d in self.differences if d.what.startswith("output")]
        gradients = [d for d in self.differences if d.what.startswith("gradient")]
        lines = []
        for kind, items in (("outputs", outputs), ("gradients", gradients)):
            if items:
                worst = max(items, key=lambda d: d.relative)
                lines.append(f"{len(items)} {kind} equal to {worst.relative:.1e} ({worst.what})")
        lines += [f"  differs: {d.what}: {d.relative:.1e}" for d in self.differences if not d.holds]
        lines += [f"  not compared: {name}" for name in self.missing]
        return "\n".join(lines)


def parse_input(text: str) -> np.ndarray:
    """`2,3,224,224` → normal numbers of that shape; `2,35:1000` → whole numbers below 1000.

    Raises: SourceError.
    """
    shape, _, below = text.partition(":")
    try:
        sizes = [int(n) for n in shape.split(",")]
        top = int(below) if below else 0
    except ValueError as error:
        raise SourceError(f"--input {text}: give a shape, as 2,3,224,224, or 2,35:1000 for whole numbers") from error
    r = np.random.RandomState(0)
    return r.randint(0, top, sizes) if top else r.randn(*sizes).astype(np.float32)


def verify(
    source: Path, converted: Path, module: str, expression: str, inputs: Sequence[str], weights: Path | None = None
) -> Evidence:
    """Compares every submodule's output, and the gradient of every weight.

    source, converted: the folders from which `module` is imported.
    expression: what makes the network, as `Model(10)`.

    Raises: VerifyError if one of them does not run, SourceError for a bad input.
    """
    with tempfile.TemporaryDirectory() as folder:
        task = {
            "module": module,
            "expression": expression,
            "folder": folder,
            "weights": str(weights.resolve()) if weights else "",
        }
        np.savez(Path(folder) / "inputs.npz", *[parse_input(text) for text in inputs])
        _run("torch", source, task)
        _run("mindspore", converted, task)
        theirs = dict(np.load(Path(folder) / "torch.npz"))
        ours = dict(np.load(Path(folder) / "mindspore.npz"))
        names = json.loads((Path(folder) / "names.json").read_text())
    differences, missing = [], []
    for key, want in theirs.items():
        if key.startswith("weight "):
            continue
        if key not in ours:
            missing.append(key)
            continue
        have = ours[key]
        if have.size != want.size:
            differences.append(Difference(key, float("inf"), 0.0))
            continue
        scale = float(np.abs(want).max(initial=0)) or 1.0
        off = float(np.abs(want.reshape(have.shape).astype(np.float64) - have).max(initial=0)) / scale
        differences.append(Difference(key, off, FORWARD if key.startswith("output") else GRADIENT))
    return Evidence(tuple(differences), tuple(missing), {k: (v[0], v[1]) for k, v in names.items()})


def _run(framework: str, folder: Path, task: dict[str, str]) -> None:
    environment = dict(os.environ)
    own = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join([own, environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment.setdefault("GLOG_v", "3")
    command = [sys.executable, "-m", "tf2ms.torch.verify", framework, str(folder.resolve()), json.dumps(task)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=task["folder"])
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.strip() and not line.startswith(("[ERROR]", "["))]
        reason = next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else "no message")
        name = "PyTorch" if framework == "torch" else "MindSpore"
        raise VerifyError(f"{task['expression']} does not run in {name}: {reason.strip()}")


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in _leaves(item)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [value] if hasattr(value, "shape") else []


def _cotangent(shape: Sequence[int]) -> np.ndarray:
    count = int(np.prod(shape))
    return np.cos(np.arange(count, dtype=np.float32) * 0.7 + 0.3).reshape(tuple(shape))


def _network(task: dict[str, str]) -> Any:
    module = importlib.import_module(task["module"])
    return eval(task["expression"], dict(vars(module)))


def _torch(task: dict[str, str]) -> None:
    import torch

    from tf2ms.torch.weights import places, read_state

    torch.manual_seed(0)
    network = _network(task).eval()
    if task["weights"]:
        state = read_state(Path(task["weights"]))
        network.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    inputs = [torch.tensor(v) for v in np.load(Path(task["folder"]) / "inputs.npz").values()]
    placed = list(places(network))
    renamed = {p.source.rpartition(".")[0]: p.name.rpartition(".")[0] for p in placed}
    found: dict[str, np.ndarray] = {}

    def keep(name: str) -> Any:
        def hook(module: Any, given: Any, output: Any) -> None:
            for index, leaf in enumerate(_leaves(output)):
                found.setdefault(f"output of {name or 'the network'} {index}", leaf.detach().float().numpy().copy())

        return hook

    handles = [m.register_forward_hook(keep(renamed.get(n, n))) for n, m in network.named_modules()]
    output = network(*inputs)
    for handle in handles:
        handle.remove()
    total = sum((leaf * torch.tensor(_cotangent(leaf.shape))).sum() for leaf in _leaves(output) if leaf.requires_grad)
    parameters = dict(network.named_parameters())
    names = {p.source: (p.name, p.layer) for p in placed}
    if isinstance(total, torch.Tensor):
        grads = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        for name, gradient in zip(parameters, grads, strict=True):
            if gradient is not None and name in names:
                found[f"gradient of {names[name][0]}"] = gradient.numpy()
    for place in placed:
        found[f"weight {place.name}"] = place.array(network.state_dict()[place.source].numpy())
    np.savez(Path(task["folder"]) / "torch.npz", **found)
    (Path(task["folder"]) / "names.json").write_text(json.dumps(names))


def _mindspore(task: dict[str, str]) -> None:
    import mindspore as ms

    theirs = np.load(Path(task["folder"]) / "torch.npz")
    inputs = [ms.Tensor(v) for v in np.load(Path(task["folder"]) / "inputs.npz").values()]
    network = _network(task)
    network.set_train(False)
    by_name = dict(network.parameters_and_names())
    wanted = {key.removeprefix("weight "): key for key in theirs if key.startswith("weight ")}
    missing = sorted(set(wanted) - set(by_name))
    if missing:
        raise ValueError(f"ValueError: the MindSpore network has no weight {', '.join(missing[:5])}")
    for name, key in wanted.items():
        by_name[name].set_data(ms.Tensor(theirs[key]))
    found: dict[str, np.ndarray] = {}

    def keep(name: str) -> Any:
        def hook(cell: Any, given: Any, output: Any) -> None:
            for index, leaf in enumerate(_leaves(output)):
                found.setdefault(f"output of {name or 'the network'} {index}", leaf.asnumpy())

        return hook

    handles = [cell.register_forward_hook(keep(name)) for name, cell in network.cells_and_names()]
    network(*inputs)
    for handle in handles:
        handle.remove()
    trained = {n: p for n, p in by_name.items() if f"gradient of {n}" in theirs}
    if trained:

        def total() -> Any:
            leaves = [leaf for leaf in _leaves(network(*inputs)) if leaf.dtype in (ms.float32, ms.float64)]
            return sum((leaf * ms.Tensor(_cotangent(leaf.shape))).sum() for leaf in leaves)

        _, grads = ms.value_and_grad(total, None, list(trained.values()))()
        for name, gradient in zip(trained, grads, strict=True):
            found[f"gradient of {name}"] = gradient.asnumpy()
    np.savez(Path(task["folder"]) / "mindspore.npz", **found)


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    {"torch": _torch, "mindspore": _mindspore}[sys.argv[1]](json.loads(sys.argv[3]))
