"""Data loaders with samplers and collate functions, converted: the same batches as PyTorch's."""

from __future__ import annotations

import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("mindspore")

from tf2ms.torch import convert_source  # noqa: E402

TEXT = """import torch
from torch.utils.data import (BatchSampler, ConcatDataset, DataLoader, Dataset, DistributedSampler, RandomSampler,
                              Sampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler)


class Words(Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return list(range(i + 1)), i


class Numbers(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, i):
        return {"value": i * 2.0, "name": str(i)}


def pad(batch):
    length = max(len(words) for words, _ in batch)
    rows = [words + [0] * (length - len(words)) for words, _ in batch]
    return torch.tensor(rows), torch.tensor([label for _, label in batch])


class EverySecond(Sampler):
    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return iter(range(0, len(self.data), 2))

    def __len__(self):
        return (len(self.data) + 1) // 2


def collated():
    loader = DataLoader(Words(5), batch_size=2, collate_fn=pad)
    return len(loader), [list(batch) for batch in loader]


def sampled():
    data = ConcatDataset([Words(4), Words(3)])
    loader = DataLoader(data, 3, sampler=EverySecond(data), collate_fn=pad, drop_last=True)
    return len(loader), [list(batch) for batch in loader]


def batched():
    batches = BatchSampler(SequentialSampler(range(7)), 3, False)
    return [[b["value"], b["name"]] for b in DataLoader(Numbers(), batch_sampler=batches)]


def shared():
    return [list(DistributedSampler(range(7), num_replicas=2, rank=r, shuffle=False)) for r in (0, 1)]


def random_ones():
    return [sorted(RandomSampler(range(6))), sorted(SubsetRandomSampler([4, 2, 9])),
            list(WeightedRandomSampler([0.0, 0.0, 1.0], 4)), len(list(RandomSampler(range(3), True, 5)))]
"""


@pytest.fixture(scope="module")
def modules():
    converted = convert_source(TEXT, "data.py")
    assert not converted.report.of("attention"), converted.report.summary()
    made = []
    for text in (TEXT, converted.text):
        made.append(types.ModuleType("data"))
        exec(compile(text, "data", "exec"), made[-1].__dict__)
    return made


@pytest.mark.parametrize("name", ["collated", "sampled", "batched", "shared", "random_ones"])
def test_same_batches(modules, name):
    import parity

    theirs, ours = (parity.flat(getattr(module, name)()) for module in modules)
    assert len(theirs) == len(ours)
    for want, have in zip(theirs, ours, strict=True):
        if isinstance(want, torch.Tensor):
            np.testing.assert_array_equal(have.asnumpy(), want.numpy())
        else:
            assert want == have
