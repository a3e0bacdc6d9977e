"""Every row of the table: its examples in PyTorch, and converted in MindSpore."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

import parity

from tf2ms.torch import table

CASES = parity.cases([row for row in table.rows() if row.family not in parity.ELSEWHERE])


@pytest.fixture(scope="module")
def built():
    return parity.modules(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_same_as_pytorch(case, built):
    sources, theirs, ours, _ = built
    parity.run(case, sources[case.number], theirs, ours)
