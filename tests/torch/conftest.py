"""Every test starts PyTorch's random numbers alike: Adam makes rounding visible for some starting weights."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _seeded():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
