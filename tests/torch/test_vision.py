"""torchvision's transforms and data sets against the converted ones: generated from the rows' examples."""

from __future__ import annotations

import struct
import types

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

import parity
import torch
from PIL import Image

from tf2ms.torch import convert_source, table

CASES = parity.cases([row for row in table.rows() if row.family == "vision"])
HEADER = "from torchvision import transforms, datasets\nfrom torchvision.transforms import functional\n\n\n"


def torchvision():
    """torchvision; its own operators, not called here, are missing where it was built for CUDA and PyTorch was not."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    try:
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:
        pass  # they are there
    return pytest.importorskip("torchvision")


def pictures():
    """What the examples name: a PIL image, the same as numbers, and arrays with channels first."""
    r = np.random.RandomState(0)
    image = Image.fromarray(r.randint(0, 256, (6, 7, 3)).astype(np.uint8)).resize((40, 30), Image.BICUBIC)
    return {
        "image": image,
        "pixels": np.asarray(image),
        "floats": r.rand(6, 7, 3).astype(np.float32),
        "array": r.rand(3, 12, 10).astype(np.float32),
        "gray": r.rand(1, 12, 10).astype(np.float32),
    }


def load(text):
    """A module from text."""
    module = types.ModuleType("vision")
    exec(compile(text, "vision", "exec"), module.__dict__)
    return module


@pytest.fixture(scope="module")
def built():
    torchvision()
    text = HEADER + "".join(
        f"def case_{c.number}({', '.join(pictures())}):\n    return {c.example.code}\n\n\n" for c in CASES
    )
    return load(text), load(convert_source(text, "vision.py").text)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_same_as_torchvision(case, built):
    theirs, ours = (getattr(module, f"case_{case.number}") for module in built)
    given = pictures()
    tensors = {k: torch.tensor(v) if k in ("array", "gray") else v for k, v in given.items()}
    expected, actual = parity.flat(theirs(**tensors)), parity.flat(ours(**given))
    assert len(expected) == len(actual)
    for want, have in zip(expected, actual, strict=True):
        assert isinstance(have, Image.Image) == isinstance(want, Image.Image)
        want, have = np.asarray(want), np.asarray(have)
        assert want.shape == have.shape and want.dtype == have.dtype
        if case.example.check != "shape":
            off = np.abs(want.astype(np.float64) - have).max()
            assert off <= (255 if want.dtype == np.uint8 else 1) * case.example.tolerance


SETS = """import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms as T

to_array = T.Compose([T.Resize(14), T.ToTensor(), T.Normalize((0.1307,), (0.3081,))])


def digits(root):
    data = datasets.MNIST(root, train=False, download=False, transform=to_array)
    return len(data), [(x, y) for x, y in DataLoader(data, batch_size=2)]


def folder(root):
    data = datasets.ImageFolder(root, T.Compose([T.CenterCrop(8), T.ToTensor()]))
    return data.classes, data.targets, [(x, y) for x, y in DataLoader(data, batch_size=2)]


def small(root):
    data = datasets.CIFAR10(root=root, train=False, transform=T.ToTensor())
    return data[1]
"""


@pytest.fixture
def root(tmp_path):
    """Five digits, and a folder of two classes."""
    r = np.random.RandomState(1)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = struct.pack(">IIII", 2051, 5, 28, 28) + r.randint(0, 256, 5 * 784).astype(np.uint8).tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 5) + bytes([3, 1, 4, 1, 5]))
    for name in ("dogs", "cats"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(2):
            pixels = r.randint(0, 256, (12, 10, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path


def test_tensors_are_not_taken_for_images():
    """After ToTensor the channels come first, which MindSpore's transforms of images do not know."""
    text = "from torchvision import transforms as T\n\nt = T.Compose([T.ToTensor(), T.RandomHorizontalFlip()])\n"
    items = convert_source(text, "t.py").report.of("attention")
    assert [item.source for item in items] == ["torchvision.transforms.Compose"]
    text = "import torch\nimport torchvision.transforms.functional as TF\n\nx = TF.hflip(torch.ones(3, 4, 4))\n"
    assert convert_source(text, "t.py").report.of("attention")


@pytest.mark.parametrize("name, folder", [("digits", ""), ("folder", "images")])
def test_data_sets(root, name, folder):
    torchvision()
    converted = convert_source(SETS, "sets.py")
    assert not converted.report.of("attention")
    theirs, ours = load(SETS), load(converted.text)
    expected = parity.flat(getattr(theirs, name)(str(root / folder)))
    actual = parity.flat(getattr(ours, name)(str(root / folder)))
    for want, have in zip(expected, actual, strict=True):
        if isinstance(want, torch.Tensor):
            np.testing.assert_array_equal(have.asnumpy(), want.numpy())
        else:
            assert want == have


def test_binary_pictures(tmp_path):
    """MindSpore reads the binary version of CIFAR-10, torchvision the pickled one: the same pixels by hand."""
    r = np.random.RandomState(2)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    rows = np.zeros((10000, 3073), np.uint8)
    rows[1] = r.randint(0, 10, 3073)
    rows.tofile(folder / "test_batch.bin")
    image, label = load(convert_source(SETS, "sets.py").text).small(str(tmp_path))
    np.testing.assert_array_equal(image, rows[1, 1:].reshape(3, 32, 32) / np.float32(255))
    assert label == rows[1, 0]
