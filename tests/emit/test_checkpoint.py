from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from tf2ms.emit import checkpoint
from tf2ms.emit.checkpoint import write_checkpoint
from tf2ms.errors import OutputError

ml_dtypes = pytest.importorskip("ml_dtypes")

needs_mindspore = pytest.mark.skipif(find_spec("mindspore") is None, reason="MindSpore is not installed")
TYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
]
VALUES = np.random.default_rng(0).normal(size=(4, 5)) * 50


def parameters():
    """Every type as a matrix and as a scalar, and unusual layouts and names."""
    found = {}
    for dtype in TYPES:
        found[f"{dtype}.weight"] = np.abs(VALUES).astype(dtype)
        found[f"{dtype}.scalar"] = np.array(1, dtype)
    found["z.fortran"] = np.asfortranarray(VALUES)
    found["a.strided"] = VALUES[::2, ::-1].astype(np.float32)
    found["big-endian"] = VALUES.astype(">f4")
    found["empty"] = np.zeros((0, 3), np.float32)
    found["one"] = np.ones(1, np.float32)
    found['é"); import os#'] = np.ones((1, 1, 1, 1, 1, 2), np.float32)
    found["bfloat16"] = VALUES.astype(ml_dtypes.bfloat16)
    return found


LOAD = """
import sys
import mindspore as ms
import numpy as np
for path in sys.argv[2:]:
    loaded = ms.load_checkpoint(path)
    arrays = {}
    for i, (name, value) in enumerate(loaded.items()):
        arrays[f"{i} {value.dtype} {name}"] = (value.float() if value.dtype == ms.bfloat16 else value).asnumpy()
    np.savez(path + ".npz", **arrays)
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What MindSpore loads of the parameters, and of them cut into slices; in a process of its own."""
    folder = tmp_path_factory.mktemp("checkpoints")
    whole, sliced = folder / "whole.ckpt", folder / "sliced.ckpt"
    write_checkpoint(whole, parameters())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "_SLICE_BYTES", 24)
        write_checkpoint(sliced, parameters())
    assert sliced.stat().st_size > whole.stat().st_size
    subprocess.run([sys.executable, "-c", LOAD, "", str(whole), str(sliced)], check=True, capture_output=True)
    return [np.load(f"{path}.npz") for path in (whole, sliced)]


@needs_mindspore
def test_mindspore_loads_the_same(loaded):
    for arrays in loaded:
        keys = {key.split(" ", 2)[2]: key for key in arrays.files}
        assert list(keys) == list(parameters())
        for name, expected in parameters().items():
            dtype = keys[name].split()[1]
            assert dtype.lower() == expected.dtype.name
            if dtype == "BFloat16":
                expected = expected.astype(np.float32)
            np.testing.assert_array_equal(
                arrays[keys[name]], expected.astype(expected.dtype.newbyteorder("=")), strict=True
            )


@needs_mindspore
def test_same_bytes_as_mindspore(tmp_path):
    """Byte for byte what `mindspore.save_checkpoint` writes."""
    write_checkpoint(tmp_path / "ours.ckpt", {"a.weight": VALUES.astype(np.float32), "b": np.array(3, np.int32)})
    code = (
        "import sys, numpy as np, mindspore as ms\n"
        "loaded = ms.load_checkpoint(sys.argv[1])\n"
        "ms.save_checkpoint([{'name': n, 'data': p} for n, p in loaded.items()], sys.argv[2])"
    )
    paths = [str(tmp_path / name) for name in ("ours.ckpt", "theirs.ckpt")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True, capture_output=True)
    assert (tmp_path / "ours.ckpt").read_bytes() == (tmp_path / "theirs.ckpt").read_bytes()


def test_neither_framework_is_imported(tmp_path):
    code = (
        "import sys, numpy as np; from pathlib import Path; from tf2ms.emit.checkpoint import write_checkpoint;"
        "write_checkpoint(Path(sys.argv[1]), {'a': np.ones(3)});"
        "assert not {'tensorflow', 'mindspore', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.ckpt")], check=True)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(2, complex), "complex128"),
        (np.array(["a"]), "<U1"),
        (np.ones(2, object), "object"),
        (np.ones(0), "scalar"),
    ],
)
def test_all_or_nothing(tmp_path, array, message):
    path = tmp_path / "x.ckpt"
    path.write_bytes(b"before")
    with pytest.raises(OutputError, match=f"parameter b .*{message}"):
        write_checkpoint(path, {"a": np.ones(3), "b": array})
    assert [file.name for file in tmp_path.iterdir()] == ["x.ckpt"] and path.read_bytes() == b"before"
    write_checkpoint(path, {"a": np.ones(3)})
    assert [file.name for file in tmp_path.iterdir()] == ["x.ckpt"] and path.read_bytes() != b"before"


def test_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        write_checkpoint(tmp_path / "nowhere" / "x.ckpt", {"a": np.ones(3)})
    (tmp_path / "x.ckpt").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_checkpoint(tmp_path / "x.ckpt", {"a": np.ones(3)})
    assert [file.name for file in tmp_path.iterdir()] == ["x.ckpt"]
