"""NumPy's array files from strangers: arrays of numbers and plain containers, nothing that runs.

A pickle can call any function, and numpy's own unpickling trusts the memory layout it is told. So the few globals that
a pickled array needs are stood in for by classes that only take notes; the arrays are built from the notes afterwards,
with every size checked.
"""

from __future__ import annotations

import ast
import pickle
import re
import struct
from collections.abc import Iterator
from math import prod
from typing import Any, BinaryIO

import numpy as np

_MAX_VALUES = 1_000_000
# What pickle raises on a damaged stream: it executes what it reads.
_DAMAGED: tuple[type[Exception], ...] = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, OverflowError),
    *(struct.error, MemoryError, RecursionError, AssertionError, ImportError, SyntaxError),
)


class RefusedError(ValueError):
    """The file is damaged or holds more than arrays and plain containers."""


def read_npy(file: BinaryIO) -> Any:
    """The array in an .npy file; where it is an array of objects, the objects: a dict, for one.

    Arrays in it have numeric, boolean or string dtypes, in the byte order they were written in, and are read-only.
    Pickles may stem from Python 2 and 3 and from numpy 1 and 2. Raises RefusedError for anything else.
    """
    try:
        magic = file.read(8)
        if magic[:6] != b"\x93NUMPY" or len(magic) < 8:
            raise RefusedError("not a NumPy array file")
        (length,) = struct.unpack("<H" if magic[6] == 1 else "<I", file.read(2 if magic[6] == 1 else 4))
        if length > 10_000:  # numpy's own bound
            raise RefusedError("its header is too long")
        header = ast.literal_eval(file.read(length).decode("utf-8" if magic[6] > 2 else "latin1"))
        dtype, shape = header["descr"], header["shape"]
        if not isinstance(dtype, str):
            raise RefusedError("it holds records, not plain arrays")
        if np.dtype(dtype).hasobject:
            return _plain(_Unpickler(file, encoding="latin1").load(), iter(range(_MAX_VALUES)))
        return _array(np.dtype(dtype), shape, bool(header["fortran_order"]), file.read())
    except RefusedError:
        raise
    except _DAMAGED as error:
        raise RefusedError(f"damaged ({type(error).__name__}: {error})") from error


def _array(dtype: np.dtype, shape: Any, fortran: bool, data: bytes) -> np.ndarray:
    """An array over `data`, which must have exactly the size that dtype and shape tell."""
    if dtype.kind not in "biufcSU":
        raise RefusedError(f"it holds values of type {dtype}, not numbers")
    if not isinstance(shape, tuple) or not all(isinstance(dim, int) and dim >= 0 for dim in shape):
        raise RefusedError(f"an array has shape {shape!r}")
    if prod(shape) * dtype.itemsize != len(data):
        raise RefusedError(f"an array of shape {shape} and type {dtype} has {len(data):,} bytes: truncated?")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands in for `numpy.dtype`."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False):
        if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?[biufcSUO?]\d{0,9}", code):
            raise RefusedError(f"it holds values of type {code!r}, not numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        """(version, byte order, subarray, field names, fields, ...) as numpy writes it."""
        order, *structure = state[1:5]
        if structure != [None, None, None] or order not in ("<", ">", "=", "|"):
            raise RefusedError("it holds records, not plain arrays")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands in for `numpy.ndarray` and the function that makes an empty one before its state is set."""

    def __init__(self, *arguments: Any):
        self.state: tuple[Any, ...] | None = None

    def __setstate__(self, state: Any) -> None:
        """(version, shape, dtype, Fortran order, data); before version 1 without the version."""
        self.state = tuple(state)[-4:]

    def build(self, budget: Iterator[int]) -> Any:
        """The array; of an array of objects the objects, of one without dimensions the object."""
        if self.state is None:
            raise RefusedError("an array has no content")
        shape, dtype, fortran, data = self.state
        if not isinstance(dtype, _Dtype):
            raise RefusedError("an array has no type")
        if dtype.dtype.hasobject:
            items = _plain(list(data), budget)
            return items[0] if shape == () and len(items) == 1 else items
        return _array(dtype.dtype, shape, bool(fortran), _bytes(data))


class _Buffer(_Array):
    """Stands in for the function that makes an array from a buffer (pickle protocol 5)."""

    def __init__(self, data: Any, dtype: Any, shape: Any, order: Any):
        self.state = shape, dtype, order == "F", data


class _Scalar(_Array):
    """Stands in for the function that makes a numpy scalar."""

    def __init__(self, dtype: Any, data: Any):
        self.state = (), dtype, False, data


class _Encoded:
    """Stands in for `_codecs.encode` and, of nothing, `bytes`: how Python 3 spells bytes for Python 2."""

    def __init__(self, text: Any = "", encoding: Any = "latin1"):
        if not isinstance(text, str) or encoding != "latin1":
            raise RefusedError(f"it encodes text as {encoding!r}")
        self.data = text.encode("latin1")


def _bytes(data: Any) -> bytes:
    """The content of an array: bytes, which Python 2 wrote as a string."""
    if isinstance(data, _Encoded):
        return data.data
    return data.encode("latin1") if isinstance(data, str) else bytes(memoryview(data))


_GLOBALS = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _Encoded,
    ("__builtin__", "bytes"): _Encoded,
    ("collections", "OrderedDict"): dict,
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _Scalar),
            ("numeric", "_frombuffer", _Buffer),
        )
    },
}


class _Unpickler(pickle._Unpickler):  # the C one can be made to exhaust the memory
    """Knows the globals of a pickled array alone."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a global; RefusedError names any other."""
        if (module, name) not in _GLOBALS:
            raise RefusedError(f"its pickle calls {module}.{name}; only arrays and plain containers are read")
        return _GLOBALS[module, name]


def _plain(value: Any, budget: Iterator[int]) -> Any:
    """The value with arrays in place of their stand-ins; `budget` bounds how many values there may be."""
    if next(budget, None) is None:
        raise RefusedError(f"it holds more than {_MAX_VALUES:,} values")
    if isinstance(value, _Array):
        return value.build(budget)
    if isinstance(value, _Encoded):
        return value.data
    if isinstance(value, dict):
        return {_plain(key, budget): _plain(item, budget) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, budget) for item in value]
    if value is None or isinstance(value, str | bytes | bytearray | bool | int | float | complex):
        return value
    raise RefusedError(f"it holds a {type(value).__name__}; only arrays and plain containers are read")
