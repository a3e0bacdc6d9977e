"""Optimizers with equal gradients, and schedulers over some epochs: generated from the rows' examples."""

from __future__ import annotations

import types

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

import parity

from tf2ms.torch import convert_source, table

CASES = parity.cases([row for row in table.rows() if row.family == "optimizers"])
STEPS = 4


@pytest.fixture(scope="module")
def built():
    text = parity.HEADER
    for case in CASES:
        argument = "params" if case.row.gives == "optimizer" else "optimizer: optim.Optimizer"
        text += f"def case_{case.number}({argument}):\n    return {case.example.code}\n\n\n"
    made = []
    for source in (text, convert_source(text, "cases.py").text):
        module = types.ModuleType("cases")
        exec(compile(source, "cases", "exec"), module.__dict__)
        made.append(module)
    return made


def gradients():
    r = np.random.RandomState(3)
    return [r.randn(3, 4).astype(np.float32) * (1 + step) for step in range(STEPS)]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_same_as_pytorch(case, built):
    import mindspore as ms
    import torch
    from mindspore.experimental import optim

    start = np.random.RandomState(4).randn(3, 4).astype(np.float32)
    theirs, ours = (getattr(module, f"case_{case.number}") for module in built)
    weight, parameter = torch.nn.Parameter(torch.tensor(start)), ms.Parameter(ms.Tensor(start), name="w")
    if case.row.gives == "optimizer":
        optimizer, our_optimizer = theirs([weight]), ours([parameter])
        for gradient in gradients():
            weight.grad = torch.tensor(gradient)
            optimizer.step()
            our_optimizer([ms.Tensor(gradient)])
            want = weight.detach().numpy()
            parity.close("weight", want, parameter.asnumpy(), 5e-5 if case.row.note else 2e-6)
        return
    optimizer, our_optimizer = torch.optim.SGD([weight], lr=0.1), optim.SGD([parameter], lr=0.1)
    scheduler, our_scheduler = theirs(optimizer), ours(our_optimizer)
    metric = case.row.name.endswith("ReduceLROnPlateau")
    for epoch in range(10):
        want, have = optimizer.param_groups[0]["lr"], float(our_optimizer.param_groups[0]["lr"])
        assert have == pytest.approx(want, rel=1e-5, abs=1e-9), f"epoch {epoch}"
        optimizer.step()
        for one in (scheduler, our_scheduler):
            one.step(*([1.0 + epoch % 2] if metric else []))
