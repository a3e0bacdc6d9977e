"""Weights by name: TensorFlow checkpoints, and NumPy files of them."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tf2ms.errors import SourceError
from tf2ms.source.graphs import read_source
from tf2ms.source.lazy import tensorflow
from tf2ms.source.naming import OBJECT_SUFFIX
from tf2ms.source.npy import RefusedError, read_npy

_STATE = b"model_checkpoint_path:"  # how a folder's `checkpoint` file begins
_TABLE = bytes.fromhex("57fb808b247547db")  # how a checkpoint's table of tensors ends
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
EXPECTED = "a TensorFlow checkpoint (its prefix, .index file or folder), .npy or .npz"


class Weights(Mapping[str, np.ndarray]):
    """Arrays by name, in the file's order; each is loaded when it is asked for."""

    def __init__(self, loaders: Mapping[str, Callable[[], np.ndarray]], keys: Iterable[str] | None = None):
        self._loaders = loaders
        self.keys_of_file = tuple(loaders if keys is None else keys)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._loaders[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._loaders

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def renamed(self, keys: Mapping[str, str]) -> Weights:
        """These arrays, and those that `keys` (another name -> name here) gives other names."""
        more = {name: self._loaders[key] for name, key in keys.items() if key in self._loaders}
        return Weights({**self._loaders, **more}, self.keys_of_file)


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """The arrays in a checkpoint or NumPy file, by variable name.

    `path`: a TensorFlow checkpoint, name-based or object-based (its prefix, its `.index` or data file, or a folder with
    a `checkpoint` file or a single checkpoint); a `.npy` file of a dict {layer: {"weights": array, ...}}, whose arrays
    are called `layer/weights`; or a `.npz`. Keys of object-based checkpoints lose `/.ATTRIBUTES/VARIABLE_VALUE`, and
    their variables are found under their own names as well, where those tell them apart.
    Text entries are left out. Raises SourceError, which says what is wrong and what to give.
    """
    path = Path(path)
    try:
        prefix = _checkpoint_prefix(path)
        if prefix is not None:
            return _from_checkpoint(prefix)
        with path.open("rb") as file:
            magic = file.read(6)
            if magic == b"\x93NUMPY":
                file.seek(0)
                return _named(path, _flat(read_npy(file)))
        if magic.startswith(b"PK\x03\x04"):
            return _from_npz(path)
    except RefusedError as error:
        raise SourceError(f"{path}: {error}: save it again, as a plain dict of arrays or an .npz") from error
    except FileNotFoundError:
        raise SourceError(f"{path}: no such checkpoint (neither {path} nor {path}.index): give {EXPECTED}") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    what = "not weights"
    if magic.endswith(b"HDF\r\n"):
        what = "a Keras or HDF5 file: load it and write a checkpoint with tf.train.Checkpoint"
    else:
        with suppress(SourceError):
            what = f"a graph, not weights ({read_source(path).kind}); a frozen graph carries its own"
    raise SourceError(f"{path}: {what}: give {EXPECTED}")


def _named(path: Path, arrays: Iterable[tuple[str, np.ndarray]]) -> Weights:
    """Weights of arrays that are loaded already."""
    loaders: dict[str, Callable[[], np.ndarray]] = {name: partial(np.asarray, array) for name, array in arrays}
    if not loaders:
        raise SourceError(f"{path}: holds no named arrays: save a dict {{layer: {{'weights': array, ...}}}}")
    return Weights(loaders)


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """The arrays in nested dicts and lists, named by the way to them; text and None are left out."""
    if isinstance(value, Mapping):
        items = [(key.decode("latin1") if isinstance(key, bytes) else str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(str(i), item) for i, item in enumerate(value)]
    else:
        if (
            prefix
            and isinstance(value, np.ndarray | int | float | complex)
            and np.asarray(value).dtype.kind not in "SU"
        ):
            yield prefix, np.asarray(value)
        return
    for name, item in items:
        yield from _flat(item, f"{prefix}/{name}" if prefix else name)


# .npz


def _from_npz(path: Path) -> Weights:
    """A .npz: one .npy for each array."""
    with _unzipping(path), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        if not names:
            keras = "model.weights.h5" in archive.namelist()
            what = (
                "a Keras model: write a checkpoint with tf.train.Checkpoint" if keras else "a zip archive, not weights"
            )
            raise SourceError(f"{path}: {what}: give {EXPECTED}")
    return Weights({name.removesuffix(".npy"): partial(_from_zip, path, name) for name in names})


def _from_zip(path: Path, name: str) -> np.ndarray:
    with _unzipping(path, name), zipfile.ZipFile(path) as archive, archive.open(name) as file:
        value = read_npy(file)  # type: ignore[arg-type]
    if not isinstance(value, np.ndarray):
        raise SourceError(f"{path}: {name} holds objects, not numbers: save it as an array")
    return value


@contextmanager
def _unzipping(path: Path, name: str = "the archive") -> Iterator[None]:
    """Errors of a damaged or unreadable zip archive as SourceError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, RefusedError) as error:
        raise SourceError(f"{path}: {name} cannot be read: {error}: save it again") from error


# TensorFlow checkpoints


def _checkpoint_prefix(path: Path) -> Path | None:
    """What TensorFlow calls the checkpoint at `path`, None if there is none."""
    if path.is_dir():
        return _prefix_in_folder(path)
    if Path(f"{path}.index").is_file():
        return path
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", str(path))
    if prefix != str(path) and Path(f"{prefix}.index").is_file():
        return Path(prefix)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(64).startswith(_STATE):
                return _prefix_in_folder(path.parent)
            file.seek(max(0, path.stat().st_size - len(_TABLE)))
            if file.read() == _TABLE:  # the one file of a checkpoint before TensorFlow 1
                return path
    return None


def _prefix_in_folder(folder: Path) -> Path:
    """The checkpoint that a folder's `checkpoint` file names, or the only one in it, or a SavedModel's variables."""
    state = folder / "checkpoint"
    if state.is_file():
        named = re.search(r'^model_checkpoint_path: "([^"\n]+)"', state.read_text("utf-8", "replace"), re.MULTILINE)
        if named:
            for prefix in (folder / named[1], folder / Path(named[1]).name):  # the folder may have moved since
                if Path(f"{prefix}.index").is_file() or prefix.is_file():
                    return prefix
    if (folder / "saved_model.pb").is_file():
        folder = folder / "variables"
    found = sorted(folder.glob("*.index"))
    if len(found) == 1:
        return found[0].with_suffix("")
    names = ", ".join(file.stem for file in found[:5]) + (", …" if len(found) > 5 else "")
    raise SourceError(
        f"{folder}: holds several checkpoints: give one of them: {names}"
        if found
        else f"{folder}: a folder without a checkpoint: give {EXPECTED}"
    )


def _from_checkpoint(prefix: Path) -> Weights:
    """The variables of a TensorFlow checkpoint, sorted by name."""
    tf = tensorflow("reading a checkpoint")
    failures = (tf.errors.OpError, ValueError, RuntimeError, LookupError)  # as TensorFlow's reader spells its status
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        dtypes = reader.get_variable_to_dtype_map()
    except failures as error:
        raise SourceError(f"{prefix}: a damaged checkpoint: {_first_line(error)}: copy it again") from error

    def load(key: str) -> np.ndarray:
        try:
            return np.asarray(reader.get_tensor(key))
        except failures as error:
            raise SourceError(f"{prefix}: {key} cannot be read: {_first_line(error)}: copy it again") from error

    keys = sorted(key for key, dtype in dtypes.items() if dtype != tf.string)
    loaders = {key.removesuffix(OBJECT_SUFFIX): partial(load, key) for key in keys}
    if _OBJECTS in dtypes:
        return Weights(loaders).renamed(_full_names(reader.get_tensor(_OBJECTS)))
    return Weights(loaders)


def _full_names(serialized: bytes) -> dict[str, str]:
    """variable -> key of an object-based checkpoint, as far as the variables' names tell them apart."""
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    keys: dict[str, set[str]] = {}
    for node in TrackableObjectGraph.FromString(serialized).nodes:
        for attribute in node.attributes:
            if attribute.name == "VARIABLE_VALUE" and attribute.full_name:
                keys.setdefault(attribute.full_name, set()).add(attribute.checkpoint_key.removesuffix(OBJECT_SUFFIX))
    return {name: found.pop() for name, found in keys.items() if len(found) == 1}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
