"""The reference case: the pre-activation bottleneck, alone and in a small network that trains."""

from __future__ import annotations

import types
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

import parity

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(scope="module")
def pair() -> tuple[types.ModuleType, types.ModuleType]:
    return parity.load_pair(SCRIPTS / "bottleneck.py")


@pytest.mark.parametrize(
    "arguments",
    [
        {"inplanes": 8, "planes": 8},
        {"inplanes": 8, "planes": 16},
        {"inplanes": 8, "planes": 8, "stride": 2},
        {"inplanes": 8, "planes": 16, "stride": 2, "dilation": 2},
        {"inplanes": 16, "planes": 8, "mode": "UP", "k": 2},
        {"inplanes": 32, "planes": 8, "mode": "UP", "k": 4, "dilation": 3},
    ],
    ids=str,
)
def test_bottleneck_is_equal_in_all_modes(pair, arguments):
    theirs, ours = pair
    parity.assert_same_module(
        theirs.Bottleneck(**arguments),
        ours.Bottleneck(**arguments),
        np.random.RandomState(1).randn(2, arguments["inplanes"], 9, 10).astype(np.float32),
        forward=1e-5,
        gradient=1e-4,
    )


def test_small_network_trains_the_same(pair):
    import mindspore as ms
    import torch

    theirs, ours = pair
    net, cell = theirs.SmallNet(), ours.SmallNet()
    net.dropout.p = 0.0
    cell.dropout = ms.nn.Dropout(p=0.0)
    parity.copy_weights(net, cell)
    r = np.random.RandomState(2)
    images, labels = r.randn(4, 3, 32, 32).astype(np.float32), r.randint(0, 10, 4)
    expected = theirs.train(net, torch.tensor(images), torch.tensor(labels))
    actual = ours.train(cell, ms.Tensor(images), ms.Tensor(labels))
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    parity.assert_same_weights(net, cell, 1e-4)
