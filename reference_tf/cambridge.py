"""The Cambridge Landmarks format: lists of pictures with the poses from which they were taken.

`dataset_train.txt` and `dataset_test.txt` have three header lines, then one line per picture:
`path x y z w p q r`, the path relative to the folder, the position in metres, the orientation as a quaternion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reference_tf.errors import UserError

HEADER_LINES = 3


@dataclass(frozen=True)
class Picture:
    """One line of a list: the picture's file, and its pose as (x, y, z) and (w, p, q, r).

    `line` says where it stands, `FILE:NUMBER`, for messages.
    """

    path: Path
    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    line: str


def read_list(folder: Path, part: str) -> list[Picture]:
    """Reads `dataset_PART.txt` of a folder; empty lines after the header are skipped.

    Raises: UserError with file and line number if a line is not a picture with its pose, if a path leads out of the
        folder or to nothing, or if there is no picture at all.
    """
    source = folder / f"dataset_{part}.txt"
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise UserError(f"{source}: no such file; a Cambridge Landmarks folder has one") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: not a text file (byte {error.start} is not UTF-8)") from error
    root = folder.resolve()
    pictures = [
        _read_line(line, root, f"{source}:{number}")
        for number, line in enumerate(lines[HEADER_LINES:], start=HEADER_LINES + 1)
        if line.strip()
    ]
    if not pictures:
        raise UserError(f"{source}: no picture after the {HEADER_LINES} header lines")
    return pictures


def _read_line(line: str, root: Path, where: str) -> Picture:
    """One line of a list; `root` is the resolved folder that paths must stay in."""
    # From the right, since a path may hold spaces and a pose does not.
    fields = line.strip().rsplit(maxsplit=7)
    if len(fields) != 8:
        raise UserError(f"{where}: expected 'path x y z w p q r', found {len(fields)} fields")
    try:
        pose = [float(field) for field in fields[1:]]
    except ValueError as error:
        raise UserError(f"{where}: the pose is not seven numbers: {error}") from error
    if not all(math.isfinite(value) for value in pose):
        raise UserError(f"{where}: the pose has a value that is not finite")
    if not any(pose[3:]):
        raise UserError(f"{where}: the quaternion is zero")
    if "\0" in fields[0]:
        raise UserError(f"{where}: {fields[0]!r} is no path")
    path = (root / fields[0]).resolve()
    if not path.is_relative_to(root):
        raise UserError(f"{where}: {fields[0]} leads out of the folder")
    if not path.is_file():
        raise UserError(f"{where}: no such picture: {fields[0]}")
    x, y, z, w, p, q, r = pose
    return Picture(path, (x, y, z), (w, p, q, r), where)


def load_crop(picture: Picture, size: int = 224) -> np.ndarray:
    """The picture as the network takes it, before the mean is subtracted: [size, size, 3], uint8 BGR.

    Resized to 455 by 256 (width by height), of which the middle is kept.

    Raises: UserError if the file is not a picture.
    """
    from PIL import Image

    width, height = 455, 256
    try:
        with Image.open(picture.path) as image:
            rgb = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # PIL raises any of these
        raise UserError(f"{picture.line}: {picture.path.name} cannot be read as a picture: {error}") from error
    top, left = (height - size) // 2, (width - size) // 2
    return rgb[top : top + size, left : left + size, ::-1]
