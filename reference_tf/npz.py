"""Reading .npz files: data as `dataset` writes it, and predictions of a converted script."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from reference_tf.errors import UserError
from reference_tf.posenet import OUTPUTS, PICTURE_SIZE


def load_data(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures [n, 224, 224, 3] (whatever their layout in the file), positions [n, 3] and quaternions [n, 4].

    The columns are known by their order, since their names are the user's choice.

    Raises: UserError if the file is no such data.
    """
    images, positions, quaternions = _load(path, 3, (0, 1, 2))
    if images.shape[1:] == (3, PICTURE_SIZE, PICTURE_SIZE):
        images = images.transpose(0, 2, 3, 1)
    _expect(path, "picture", images, (len(positions), PICTURE_SIZE, PICTURE_SIZE, 3))
    _expect(path, "position", positions, (len(positions), 3))
    _expect(path, "quaternion", quaternions, (len(positions), 4))
    return images, positions, quaternions


def load_poses(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Only the positions [n, 3] and quaternions [n, 4] of a data file.

    Raises: UserError if the file is no such data.
    """
    positions, quaternions = _load(path, 3, (1, 2))
    _expect(path, "position", positions, (len(positions), 3))
    _expect(path, "quaternion", quaternions, (len(positions), 4))
    return positions, quaternions


def load_predictions(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions [count, 3] and quaternions [count, 4] of head 3: the last two of the six outputs in a file.

    Raises: UserError if the file is no such file, or has predictions for another number of pictures.
    """
    xyz, wpqr = _load(path, len(OUTPUTS), (-2, -1))
    _expect(path, "head 3's position", xyz, (count, 3))
    _expect(path, "head 3's quaternion", wpqr, (count, 4))
    return xyz, wpqr


def _load(path: Path, count: int, wanted: tuple[int, ...]) -> list[np.ndarray]:
    """Some of the `count` arrays of a file, by their place in it; the others are not read."""
    try:
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path}: not an .npz file")
        with np.load(path, allow_pickle=False) as arrays:
            if len(arrays.files) != count:
                found = ", ".join(arrays.files) or "none"
                raise UserError(f"{path}: expected {count} arrays, found {len(arrays.files)}: {found}")
            loaded = [arrays[arrays.files[index]] for index in wanted]
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read as .npz: {error}") from error
    for array in loaded:
        if array.ndim == 0 or array.dtype.kind != "f":
            raise UserError(f"{path}: expected arrays of floats, found {array.dtype} of shape {array.shape}")
        if not np.isfinite(array).all():  # a ReLU may turn NaN into 0, so the loss would not tell
            raise UserError(f"{path}: there are values that are not finite")
    return loaded


def _expect(path: Path, what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raises UserError unless the array has this shape."""
    if array.shape != shape:
        raise UserError(f"{path}: {what} array has shape {list(array.shape)}, expected {list(shape)}")
