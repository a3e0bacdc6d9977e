"""Data as a converted MindSpore script reads it: one column per input of the graph, as .npz and as MindRecord.

Both files hold the same float32 values. Neither is ever in memory as a whole: a picture is 600 kB, a scene a gigabyte.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from reference_tf.cambridge import Picture, load_crop, read_list
from reference_tf.errors import UserError
from reference_tf.posenet import PICTURE_SIZE

COLUMNS = ("images", "poses_x", "poses_q")
"""Default names of the columns, in the order of the graph's inputs."""

LAYOUTS = ("NCHW", "NHWC")

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many pictures are done, and of how many."""

_CHUNK = 32  # pictures in memory at a time: 20 MB


@dataclass(frozen=True)
class Form:
    """What the files look like: names of the three columns, and the layout of the pictures."""

    columns: tuple[str, str, str] = COLUMNS
    layout: str = "NCHW"

    @classmethod
    def parse(cls, columns: str, layout: str) -> Form:
        """From the command line: three names separated by commas, of pictures, positions, quaternions.

        Raises: UserError unless these are three different names that MindRecord accepts.
        """
        names = [name.strip() for name in columns.split(",")]
        if len(names) != 3 or len(set(names)) != 3:
            raise UserError(f"{columns!r}: three different column names are needed, such as {','.join(COLUMNS)}")
        for name in names:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise UserError(f"{name!r} cannot be a column: letters, digits and underscores, no digit at the start")
        images, poses_x, poses_q = names
        return cls((images, poses_x, poses_q), layout)

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Of one picture: (3, 224, 224) or (224, 224, 3)."""
        return (3, PICTURE_SIZE, PICTURE_SIZE) if self.layout == "NCHW" else (PICTURE_SIZE, PICTURE_SIZE, 3)


@dataclass(frozen=True)
class Rows:
    """A set that is ready to be written: crops [n, 224, 224, 3] uint8 BGR (on disk), and the mean picture."""

    pictures: list[Picture]
    crops: np.ndarray
    mean: np.ndarray
    form: Form

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def positions(self) -> np.ndarray:
        """[n, 3], float32, metres."""
        return np.array([picture.position for picture in self.pictures], np.float32)

    @property
    def quaternions(self) -> np.ndarray:
        """[n, 4], float32: w, p, q, r."""
        return np.array([picture.quaternion for picture in self.pictures], np.float32)

    def batches(self) -> Iterator[np.ndarray]:
        """The pictures less the mean, a few at a time: [k, *picture_shape], float32."""
        for start in range(0, len(self), _CHUNK):
            batch = self.crops[start : start + _CHUNK].astype(np.float32) - self.mean
            yield np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) if self.form.layout == "NCHW" else batch


def convert(
    source: Path,
    folder: Path,
    form: Form,
    mindrecord: bool = True,
    progress: Progress = lambda what, done, total: None,
) -> list[Path]:
    """Turns a Cambridge Landmarks folder into `train` and `test`, each as .npz and .mindrecord, and `mean.npy`.

    Pictures are resized and cropped, their channels are in BGR order, and the mean picture of the training set
    (`mean.npy`, [224, 224, 3] float32) is subtracted from both sets.

    Args:
        source: the Cambridge Landmarks folder.
        folder: made if it is missing; files of the same names in it are replaced.
        form: column names and layout.
        mindrecord: False leaves out the MindRecord files.
        progress: called as the work goes on.

    Returns: the files written.
    Raises: UserError on a bad line or picture, or if MindRecord files are wanted and MindSpore is not installed,
        OSError if the folder cannot be written.
    """
    if mindrecord and find_spec("mindspore") is None:
        raise UserError(
            "MindRecord files are written by mindspore, which is not installed; --no-mindrecord leaves them out"
        )
    parts = {part: read_list(source, part) for part in ("train", "test")}  # both, before the work begins
    folder.mkdir(parents=True, exist_ok=True)
    writers = {"npz": _write_npz, "mindrecord": _write_mindrecord} if mindrecord else {"npz": _write_npz}
    mean: np.ndarray | None = None
    written = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".crops-") as scratch:
        for part, pictures in parts.items():
            crops = np.memmap(f"{scratch}/{part}", np.uint8, "w+", shape=(len(pictures), PICTURE_SIZE, PICTURE_SIZE, 3))
            for index, picture in enumerate(pictures):
                crops[index] = load_crop(picture, PICTURE_SIZE)
                progress(f"{part} pictures", index + 1, len(pictures))
            if mean is None:  # the first part is the training set
                mean = _mean(crops)
                np.save(folder / "mean.npy", mean)
                written.append(folder / "mean.npy")
            rows = Rows(pictures, crops, mean, form)
            for extension, write in writers.items():
                path = folder / f"{part}.{extension}"
                write(path, rows, progress)
                written.append(path)
    return written


def _mean(crops: np.ndarray) -> np.ndarray:
    """The mean picture, float32; summed in float64, which is exact for eight-bit pictures."""
    total = np.zeros(crops.shape[1:], np.float64)
    for start in range(0, len(crops), _CHUNK):
        total += crops[start : start + _CHUNK].sum(axis=0, dtype=np.float64)
    return (total / len(crops)).astype(np.float32)


def _write_npz(path: Path, rows: Rows, progress: Progress) -> None:
    """What `np.savez` writes, with the pictures passed in batches; they hardly compress, so they are stored."""
    images, poses_x, poses_q = rows.form.columns
    done = 0
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open(f"{images}.npy", "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), *rows.form.picture_shape)}
            np.lib.format.write_array_header_1_0(member, header)
            for batch in rows.batches():
                member.write(batch.astype("<f4", copy=False).tobytes())
                done += len(batch)
                progress(path.name, done, len(rows))
        for name, array in ((poses_x, rows.positions), (poses_q, rows.quaternions)):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)


def _write_mindrecord(path: Path, rows: Rows, progress: Progress) -> None:
    """One MindRecord file (and its index, `PATH.db`) with a float32 column per input."""
    from mindspore.mindrecord import FileWriter

    images, poses_x, poses_q = rows.form.columns
    writer = FileWriter(str(path), shard_num=1, overwrite=True)
    schema = {
        images: {"type": "float32", "shape": list(rows.form.picture_shape)},
        poses_x: {"type": "float32", "shape": [3]},
        poses_q: {"type": "float32", "shape": [4]},
    }
    writer.add_schema(schema, "a picture and the pose from which it was taken")
    poses = zip(rows.positions, rows.quaternions, strict=True)
    done = 0
    for batch in rows.batches():
        # The batch comes first: zip must not take a pose that has no picture left.
        writer.write_raw_data([{images: x, poses_x: p, poses_q: q} for x, (p, q) in zip(batch, poses, strict=False)])
        done += len(batch)
        progress(path.name, done, len(rows))
    writer.commit()
