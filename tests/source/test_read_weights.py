from __future__ import annotations

import shutil
import sys
import zipfile

import numpy as np
import pytest

from tf2ms.errors import SourceError
from tf2ms.source import read_weights


@pytest.mark.parametrize(
    "name", ["robonet.ckpt", "robonet.ckpt.index", "robonet.ckpt.data-00000-of-00001", "checkpoint", "."]
)
def test_checkpoint(exports, name):
    weights = read_weights(str(exports / name))
    assert list(weights) == sorted(exports.variables)
    for key, value in exports.variables.items():
        np.testing.assert_array_equal(weights[key], value, strict=True)
    assert "dense" in weights and "nothing" not in weights
    with pytest.raises(KeyError):
        weights["nothing"]


def test_moved_folder(exports, tmp_path):
    for file in exports.folder.glob("robonet.ckpt.*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/somewhere/else/robonet.ckpt"\n')
    assert len(read_weights(tmp_path)) == len(exports.variables)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "gone"\n')
    assert len(read_weights(tmp_path)) == len(exports.variables)
    shutil.copy(tmp_path / "robonet.ckpt.index", tmp_path / "other.ckpt.index")
    with pytest.raises(SourceError, match=r"several checkpoints: give one of them: other\.ckpt, robonet\.ckpt"):
        read_weights(tmp_path)


def test_object_based(module_export):
    weights = read_weights(module_export / "objects")
    assert list(weights) == ["kernel", "dense/kernel"], "by the way to the object, and by the variable's name"
    np.testing.assert_array_equal(weights["kernel"], np.arange(12, dtype=np.float32).reshape(3, 4), strict=True)
    saved = read_weights(module_export / "saved2")
    np.testing.assert_array_equal(saved["kernel"], weights["kernel"])


def test_damaged_checkpoint(exports, tmp_path):
    for file in exports.folder.glob("robonet.ckpt.*"):
        shutil.copy(file, tmp_path)
    data = tmp_path / "robonet.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1000])
    with pytest.raises(SourceError, match=r"cannot be read|damaged"):
        list(read_weights(tmp_path / "robonet.ckpt").values())
    data.unlink()
    with pytest.raises(SourceError, match=r"cannot be read|damaged"):
        list(read_weights(tmp_path / "robonet.ckpt").values())
    index = tmp_path / "robonet.ckpt.index"
    index.write_bytes(index.read_bytes()[:-20])
    with pytest.raises(SourceError, match="damaged checkpoint"):
        read_weights(tmp_path / "robonet.ckpt")
    index.write_bytes(b"")
    with pytest.raises(SourceError, match="damaged checkpoint"):
        read_weights(tmp_path / "robonet.ckpt")


def test_without_tensorflow(exports, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(SourceError, match=r"reading a checkpoint needs TensorFlow: pip install tf2ms\[tensorflow\]"):
        read_weights(exports / "robonet.ckpt")


def test_npz(tmp_path):
    arrays = {"conv/weights": np.ones((2, 3), np.float16), "step": np.array(3), "big-endian": np.arange(4, dtype=">i4")}
    np.savez_compressed(tmp_path / "w.npz", **arrays)
    weights = read_weights(tmp_path / "w.npz")
    assert list(weights) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights[name], array, strict=True)
    np.savez(tmp_path / "w.npz", a=np.array({"b": 1}, object), c=np.zeros(2))
    weights = read_weights(tmp_path / "w.npz")
    assert weights["c"].shape == (2,)
    with pytest.raises(SourceError, match=r"a\.npy holds objects"):
        weights["a"]


def test_damaged_npz(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.arange(1000))
    content = bytearray((tmp_path / "w.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.npy cannot be read: Bad CRC"):
        read_weights(tmp_path / "w.npz")["a"]
    (tmp_path / "w.npz").write_bytes(content[:-30])
    with pytest.raises(SourceError, match="the archive cannot be read"):
        read_weights(tmp_path / "w.npz")


def test_not_weights(exports, tmp_path):
    for name in ("graph.pb", "graph.pbtxt", "robonet.meta"):
        with pytest.raises(SourceError, match="a graph, not weights"):
            read_weights(exports / name)
    with pytest.raises(SourceError, match="no such checkpoint"):
        read_weights(tmp_path / "model.ckpt")
    with pytest.raises(SourceError, match="a folder without a checkpoint"):
        read_weights(tmp_path)
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(SourceError, match="Keras or HDF5"):
        read_weights(tmp_path / "x.h5")
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(SourceError, match="not weights"):
        read_weights(tmp_path / "x")
    with pytest.raises(SourceError):
        read_weights("x\0")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(SourceError, match="a Keras model"):
        read_weights(tmp_path / "m.keras")
