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


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_same_as_pytorch(case, built, monkeypatch):
    import mindspore as ms
    import torch
    from mindspore.experimental import optim

    name = case.row.name.rpartition(".")[2]
    theirs, ours = (getattr(module, f"case_{case.number}") for module in built)
    if name == "Muon":
        monkeypatch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor.float().clone())
    shapes = [(3, 4)] if name in ("Muon", "SparseAdam") else [(3, 4), (5,)]
    start = [np.random.RandomState(4).randn(*shape).astype(np.float32) for shape in shapes]
    weights = [torch.nn.Parameter(torch.tensor(value)) for value in start]
    parameters = [ms.Parameter(ms.Tensor(value), name=f"w{i}") for i, value in enumerate(start)]
    if case.row.gives == "optimizer":
        optimizer, our_optimizer = theirs(weights), ours(parameters)
        for step in range(STEPS):
            r = np.random.RandomState(step)
            gradients = [r.randn(*shape).astype(np.float32) * (1 + step) for shape in shapes]
            for weight, gradient in zip(weights, gradients, strict=True):
                if name == "SparseAdam":
                    gradient[step % 3] = 0
                weight.grad = torch.tensor(gradient)
                if name == "SparseAdam":
                    weight.grad = weight.grad.to_sparse(1)
            optimizer.step()
            our_optimizer([ms.Tensor(gradient) for gradient in gradients])
            for weight, parameter in zip(weights, parameters, strict=True):
                tolerance = 5e-5 if "3e-5" in case.row.note else 2e-6
                parity.close("weight", weight.detach().numpy(), parameter.asnumpy(), tolerance)
        return
    optimizer, our_optimizer = (
        torch.optim.SGD(weights, lr=0.1, momentum=0.9),
        optim.SGD(parameters, lr=0.1, momentum=0.9),
    )
    scheduler, our_scheduler = theirs(optimizer), ours(our_optimizer)
    metric = name == "ReduceLROnPlateau"
    for epoch in range(10):
        want, have = optimizer.param_groups[0]["lr"], float(our_optimizer.param_groups[0]["lr"])
        assert have == pytest.approx(want, rel=1e-5, abs=1e-9), f"epoch {epoch}"
        momentum = float(our_optimizer.param_groups[0]["momentum"])
        assert momentum == pytest.approx(optimizer.param_groups[0]["momentum"], rel=1e-5)
        optimizer.step()
        for one in (scheduler, our_scheduler):
            one.step(*([1.0 + epoch % 2] if metric else []))


CLOSURE = """import torch
from torch import optim


def fit(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor):
    optimizer = optim.LBFGS([weight], lr=LR, max_iter=6, history_size=4, line_search_fn=SEARCH)
    losses = []
    for epoch in range(4):
        def closure():
            optimizer.zero_grad()
            residual = torch.matmul(a, weight) - b
            loss = (residual ** 2).sum() + (weight ** 4).sum()
            loss.backward()
            return loss
        losses.append(optimizer.step(closure).item())
    return losses
"""


@pytest.mark.parametrize("search, lr", [("None", "0.3"), ("'strong_wolfe'", "1"), ("'strong_wolfe'", "20.0")])
def test_lbfgs_with_a_closure(search, lr):
    """In float64, where rounding does not grow into another path."""
    import mindspore as ms
    import torch

    text = CLOSURE.replace("SEARCH", search).replace("LR", lr)
    converted = convert_source(text, "fit.py").text
    assert "return loss, grads" in converted and "optimizer.step(closure).item()" in converted
    theirs, ours = types.ModuleType("theirs"), types.ModuleType("ours")
    exec(compile(text, "fit", "exec"), theirs.__dict__)
    exec(compile(converted, "fit", "exec"), ours.__dict__)
    r = np.random.RandomState(1)
    start, a, b = r.randn(6, 2), r.randn(9, 6), r.randn(9, 2)
    weight, parameter = torch.nn.Parameter(torch.tensor(start)), ms.Parameter(ms.Tensor(start), name="w")
    expected = theirs.fit(weight, torch.tensor(a), torch.tensor(b))
    actual = ours.fit(parameter, ms.Tensor(a), ms.Tensor(b))
    np.testing.assert_allclose(actual, expected, rtol=1e-7)  # the rate is kept in float32
    np.testing.assert_allclose(parameter.asnumpy(), weight.detach().numpy(), rtol=1e-6, atol=1e-7)
