"""Initializers: the same numbers where they are fixed, the same mean and deviation where they are random."""

from __future__ import annotations

import types

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

import parity

from tf2ms.torch import convert_source, table

CASES = parity.cases([row for row in table.rows() if row.family == "initializers"])
SHAPES = {"tensor": (96, 64), "kernel": (32, 24, 5, 5)}


@pytest.fixture(scope="module")
def built():
    text = parity.HEADER + "import math\n\n\n"
    for case in CASES:
        if not case.row.name.startswith("Tensor."):
            text += f"def case_{case.number}(tensor, kernel):\n    return {case.example.code}\n\n\n"
    made = []
    for source in (text, convert_source(text, "cases.py").text):
        module = types.ModuleType("cases")
        exec(compile(source, "cases", "exec"), module.__dict__)
        made.append(module)
    return made


@pytest.fixture(scope="module")
def in_place():
    return parity.modules([case for case in CASES if case.row.name.startswith("Tensor.")])


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_same_as_pytorch(case, built, in_place):
    import mindspore as ms
    import torch

    if case.row.name.startswith("Tensor."):
        sources, theirs, ours, _ = in_place
        parity.run(case, sources[case.number], theirs, ours)
        return
    torch.manual_seed(0)
    ms.set_seed(0)
    theirs, ours = (getattr(module, f"case_{case.number}") for module in built)
    zeros = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    tensors = {name: torch.tensor(value) for name, value in zeros.items()}
    parameters = {name: ms.Parameter(ms.Tensor(value), name=name) for name, value in zeros.items()}
    number, our_number = theirs(**tensors), ours(**parameters)
    if isinstance(number, float):
        assert our_number == pytest.approx(number)
        return
    for name, tensor in tensors.items():
        want, have = tensor.numpy(), parameters[name].asnumpy()
        if case.example.check == "moments":
            assert have.mean() == pytest.approx(
                want.mean(), abs=0.05 * max(want.std(), abs(want.mean())) + 1e-6, rel=0.05
            )
            assert have.std() == pytest.approx(want.std(), rel=0.05, abs=1e-9)
            assert np.abs(have).max() == pytest.approx(np.abs(want).max(), rel=0.35)
        else:
            parity.close(name, want, have, 1e-6)
