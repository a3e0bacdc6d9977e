from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf2ms.errors import SourceError
from tf2ms.source import read_weights

RNG = np.random.default_rng(0)
LAYERS = {
    "conv1": {"weights": RNG.normal(size=(3, 3, 2, 4)).astype(np.float32), "biases": np.zeros(4, np.float32)},
    "fc": {"weights": np.asfortranarray(RNG.normal(size=(5, 3))), "scale": np.float32(2.5), "steps": 7},
    "bn": {"mean": np.arange(4, dtype=">f8")[::2], "flags": np.array([True, False]), "half": np.ones(2, np.float16)},
    "empty": np.zeros((0, 3)),
}
FLAT = {
    "conv1/weights": LAYERS["conv1"]["weights"],
    "conv1/biases": LAYERS["conv1"]["biases"],
    "fc/weights": LAYERS["fc"]["weights"],
    "fc/scale": np.array(2.5, np.float32),
    "fc/steps": np.array(7),
    "bn/mean": LAYERS["bn"]["mean"],
    "bn/flags": LAYERS["bn"]["flags"],
    "bn/half": LAYERS["bn"]["half"],
    "empty": LAYERS["empty"],
}


def npy(payload, descr="|O"):
    """An .npy file whose objects are `payload`, pickled."""
    header = repr({"descr": descr, "fortran_order": False, "shape": ()}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + payload


def boxed(value, protocol):
    """What np.save pickles: the array of one object."""
    array = np.empty((), object)
    array[()] = value
    return pickle.dumps(array, protocol)


def read(tmp_path, content):
    (tmp_path / "weights.npy").write_bytes(content)
    return read_weights(tmp_path / "weights.npy")


def check(weights, expected=FLAT):
    assert list(weights) == list(expected) and len(weights) == len(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(weights[name], array, strict=True)


def test_saved_by_numpy(tmp_path):
    np.save(tmp_path / "weights.npy", LAYERS, allow_pickle=True)
    check(read_weights(tmp_path / "weights.npy"))
    np.save(tmp_path / "weights.npy", {"conv": [np.ones(2), np.zeros(3)]}, allow_pickle=True)
    check(read_weights(tmp_path / "weights.npy"), {"conv/0": np.ones(2), "conv/1": np.zeros(3)})


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_protocols(tmp_path, protocol):
    check(read(tmp_path, npy(boxed(LAYERS, protocol))))


def test_both_numpys(tmp_path):
    for old, new in ((b"numpy.core.", b"numpy._core."), (b"numpy._core.", b"numpy.core.")):
        payload = boxed({"a": np.ones(2), "b": np.float64(3)}, 2)
        check(read(tmp_path, npy(payload.replace(old, new))), {"a": np.ones(2), "b": np.array(3.0)})


def python2(layers):
    """The pickle that Python 2 and numpy 1 wrote: text and array content as 8-bit strings."""

    def string(data):
        return b"T" + struct.pack("<i", len(data)) + data

    def dtype(code):
        return b"cnumpy\ndtype\n(" + string(code) + b"I0\nI1\ntR(I3\n" + string(b"<") + b"NNNI-1\nI-1\nI0\ntb"

    def array(value):
        shape = b"(" + b"".join(b"I%d\n" % dim for dim in value.shape) + b"t"
        empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt" + string(b"b") + b"tR"
        return empty + b"(I1\n" + shape + dtype(b"f4") + b"I00\n" + string(value.tobytes()) + b"tb"

    out = b"\x80\x02}("
    for layer, arrays in layers.items():
        out += string(layer.encode()) + b"}("
        for name, value in arrays.items():
            out += string(name.encode()) + array(value)
        out += b"u"
    return out + b"u."


def test_python2(tmp_path):
    layers = {"conv1_7x7": {"weights": RNG.normal(size=(2, 3)).astype(np.float32), "biases": np.ones(3, np.float32)}}
    payload = python2(layers)
    pickletools.dis(payload, out=io.StringIO())
    check(
        read(tmp_path, npy(payload)),
        {"conv1_7x7/weights": layers["conv1_7x7"]["weights"], "conv1_7x7/biases": layers["conv1_7x7"]["biases"]},
    )


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


MARK = "tf2ms-was-here"


def by_hand(text):
    return b"\x80\x02" + text.encode("latin1") + b"."


@pytest.mark.parametrize(
    ("payload", "refused"),
    [
        (pickle.dumps(Calls(eval, "open('tf2ms-was-here', 'w')")), "eval"),
        (pickle.dumps(Calls(exec, "import os")), "exec"),
        (pickle.dumps({"a": np.ones(1), "b": Calls(getattr, [], "append")}), "getattr"),
        (pickle.dumps(Calls(io.BytesIO, b"x")), "BytesIO"),
        (pickle.dumps(np.load), "numpy"),
        (pickle.dumps(np.memmap), "memmap"),
        (by_hand(f"cos\nsystem\n(S'touch {MARK}'\ntR"), "os.system"),
        (by_hand(f"(S'touch {MARK}'\nios\nsystem\n"), "os.system"),
        (by_hand("cnumpy.testing._private.utils\nrunstring\n(S'x'\n}tR"), "runstring"),
        (by_hand("cnumpy.core.multiarray\n_reconstruct.__globals__\n"), "__globals__"),
        (b"\x80\x04\x8c\x05numpy\x8c\x14dtype.__subclasses__\x93.", "__subclasses__"),
        (b"\x80\x02cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.", "bytearray"),
        (by_hand("c_codecs\nencode\n(S'x'\nS'zlib'\ntR"), "zlib"),
        (by_hand("Pwhatever\n"), ""),
        (by_hand("cnumpy\ndtype\n(S'V8'\ntR"), "V8"),
        (by_hand("cnumpy\ndtype\n(S'f4,O'\ntR"), "f4,O"),
        (by_hand("cnumpy\ndtype\n(cnumpy\ndtype\ntR"), "not numbers"),
        (by_hand("cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\n(I1\nI2\ntNNI8\nI1\nI63\ntb"), "records"),
        (by_hand("cnumpy\ndtype\n}S'__setstate__'\nI1\nsb"), ""),
        (by_hand("ccollections\nOrderedDict\n}S'x'\nI1\nsb"), ""),
        (by_hand("cnumpy.core.multiarray\n_reconstruct\n}S'x'\nI1\nsb"), ""),
        (by_hand("cnumpy.core.multiarray\n_reconstruct\n"), "type"),
        (by_hand("cnumpy.core.multiarray\n_reconstruct\n)R"), "no content"),
        (by_hand("cnumpy.core.multiarray\nscalar\n(NNtR"), "no type"),
        (by_hand("cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\ntRS'1234'\ntR"), "4 bytes"),
        (by_hand("cnumpy.core.numeric\n_frombuffer\n(S''\ncnumpy\ndtype\n(S'f4'\ntR(I9999\ntS'C'\ntR"), "0 bytes"),
        (b"\x80\x02(((.", ""),
        (b"\x80\x02r\xff\xff\xff\x7f.", ""),
        (b"\x80\x04\x8e" + b"\xff" * 8 + b"x.", ""),
        (b"\x80\x02]q\x00h\x00a.", "damaged"),
        (b"\x80\x02N.", "no named arrays"),
        (b"", "damaged"),
        (b"\x80\x02", "damaged"),
        (pickle.dumps({"a": np.ones(100)})[:-50], "damaged"),
        (pickle.dumps(3), "no named arrays"),
        (pickle.dumps({"a": "text", "b": None}), "no named arrays"),
        (pickle.dumps({"a": {1, 2}, "b": Calls(complex, 1, 2)}), "complex"),
    ],
)  # fmt: skip
def test_refused(tmp_path, monkeypatch, payload, refused):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=refused.replace(".", r"\.") or None):
        read(tmp_path, npy(payload))
    assert not (tmp_path / MARK).exists()


def test_shared_references_do_not_explode(tmp_path):
    value = [1.0]
    for _ in range(64):
        value = [value, value]
    with pytest.raises(SourceError, match="more than 1,000,000 values"):
        read(tmp_path, npy(pickle.dumps({"a": value})))


def test_refusals_leave_nothing_behind(tmp_path):
    """A BUILD on a stand-in must not change it for the next file."""
    for target in ("cnumpy\ndtype\n", "cnumpy.core.multiarray\n_reconstruct\n", "c_codecs\nencode\n"):
        with pytest.raises(SourceError):
            read(tmp_path, npy(by_hand(f"{target}(N}}S'__init__'\nI1\nstb")))
    np.save(tmp_path / "weights.npy", LAYERS, allow_pickle=True)
    check(read_weights(tmp_path / "weights.npy"))


HEADERS = [
    b"",
    b"\x93NUMPY",
    b"\x93NUMPY\x01\x00",
    b"\x93NUMPY\x01\x00\xff\xff",
    b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
    b"\x93NUMPY\x01\x00\x02\x00[]",
    b"\x93NUMPY\x01\x00\x02\x00((",
    b"\x93NUMPY\x01\x00\x02\x00{}",
    npy(b"", descr=[("a", "<f4")]),
    npy(b"", descr="rubbish"),
    npy(b"1234", descr="<f8"),
    npy(b"12345678", descr="<M8"),
    npy(b"12345678", descr="<V8"),
]


@pytest.mark.parametrize("content", HEADERS)
def test_bad_headers(tmp_path, content):
    with pytest.raises(SourceError):
        read(tmp_path, content)


def test_array_without_names(tmp_path):
    np.save(tmp_path / "weights.npy", np.ones((2, 3)))
    with pytest.raises(SourceError, match="no named arrays: save a dict"):
        read_weights(tmp_path / "weights.npy")


GOOD = npy(boxed(LAYERS, 3))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0))
def test_flipped_bytes(tmp_path_factory, flips, cut):
    content = bytearray(GOOD)
    for at, value in flips:
        content[at] = value
    path = tmp_path_factory.getbasetemp() / "flipped.npy"
    path.write_bytes(content[: cut % (2 * len(GOOD))])
    with contextlib.suppress(SourceError):
        assert all(isinstance(array, np.ndarray) for array in read_weights(path).values())
