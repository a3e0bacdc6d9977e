"""A small synthetic scene in the Cambridge Landmarks format: the model of a courtyard, photographed from within.

A pinhole camera looks into a courtyard of four facades that differ in colour, windows and bricks, with a paved ground
and the sky above. Every pixel is the colour at which its ray hits the courtyard, so a picture shows its pose. As
people do with a landmark, the camera looks roughly at one place, the back facade, from wherever it stands.

The courtyard is a model of 1 : 25 that stands on a table, 1.2 m wide. The reason is the learning rate of PoseNet:
from random weights, two hundred steps of Adam at 0.0001 can move an output by tenths of a metre, not by tens of metres,
and a demonstration has no time for more.

World: x to the right, y to the back, z up, in metres of the model, from the middle of its ground. Camera: x to the
right, y down, z forward. As in Cambridge Landmarks a pose is the camera's position in the world and the unit
quaternion (w, p, q, r) of the rotation from the world to the camera: x_camera = R(w, p, q, r) (x_world - position).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 480, 270
"""Size of a picture in pixels; a little more than what the network's loader asks for, so that it resizes."""

FOCAL_LENGTH = 260.0
"""Of the pinhole camera, in pixels: about 85 degrees across."""

MODEL_SCALE = 1 / 25
"""Metres of the model per metre of the courtyard. All other lengths in this module are the courtyard's."""

COURTYARD = np.array([30.0, 20.0, 9.0])
"""Width, depth and height; rays are followed in coordinates from its left front corner."""

_ORIGIN = np.array([15.0, 10.0, 0.0])  # of the world, in the same coordinates
_LANDMARK = np.array([15.0, 20.0, 2.0])  # what is photographed: the middle of the back facade
_PIXELS_PER_METRE = 24  # of the painted surfaces


@dataclass(frozen=True)
class Poses:
    """Where the pictures are taken: positions [n, 3] in metres and unit quaternions [n, 4] with w >= 0, float64."""

    positions: np.ndarray
    quaternions: np.ndarray


def random_poses(count: int, generator: np.random.Generator) -> Poses:
    """A visitor who photographs the back facade from anywhere in the front half of the courtyard.

    Yaw within 8 degrees of the landmark's direction, pitch within 5 and roll within 2 degrees of level.
    """
    standing = generator.uniform([5.0, 3.0, 1.5], [25.0, 11.0, 2.0], (count, 3))
    yaw, pitch, roll = np.radians(generator.uniform([-8.0, -5.0, -2.0], [8.0, 5.0, 2.0], (count, 3))).T
    towards = _LANDMARK - standing
    yaw += np.arctan2(towards[:, 0], towards[:, 1])
    # At yaw, pitch and roll 0 the camera looks along the world's y axis: a quarter turn about x.
    quaternions = _turn(2, roll)
    for axis, angle in ((0, -pitch), (1, -yaw), (0, np.full(count, np.pi / 2))):
        quaternions = _multiply(quaternions, _turn(axis, angle))
    positions = (standing - _ORIGIN) * MODEL_SCALE
    return Poses(positions, quaternions * np.where(quaternions[:, :1] < 0, -1.0, 1.0))


def rotation_matrix(quaternion: np.ndarray) -> np.ndarray:
    """The rotation [3, 3] of a unit quaternion (w, p, q, r)."""
    w, p, q, r = quaternion
    return np.array(
        [
            [1 - 2 * (q * q + r * r), 2 * (p * q - w * r), 2 * (p * r + w * q)],
            [2 * (p * q + w * r), 1 - 2 * (p * p + r * r), 2 * (q * r - w * p)],
            [2 * (p * r - w * q), 2 * (q * r + w * p), 1 - 2 * (p * p + q * q)],
        ]
    )


@dataclass
class Courtyard:
    """The scene: six painted surfaces, each [rows, columns, 3] uint8 RGB at `_PIXELS_PER_METRE`.

    `surfaces[axis][side]` lies at coordinate 0 (side 0) or at the far end (side 1) of its axis.
    """

    seed: int = 0
    surfaces: list[list[np.ndarray]] = field(init=False)

    def __post_init__(self) -> None:
        generator = np.random.default_rng(self.seed)
        width, depth, height = COURTYARD
        left = _facade(depth, height, (178, 74, 58), (40, 48, 66), 3.2, generator)
        right = _facade(depth, height, (72, 116, 168), (236, 222, 160), 2.4, generator)
        front = _facade(width, height, (120, 100, 132), (60, 60, 60), 4.0, generator)
        back = _facade(width, height, (206, 184, 122), (54, 72, 58), 2.8, generator)
        self.surfaces = [[left, right], [front, back], [_paving(width, depth, generator), _sky(width, depth)]]

    def render(self, position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
        """The picture [HEIGHT, WIDTH, 3], uint8 RGB, from a pose [3], [4] inside the courtyard."""
        camera = position / MODEL_SCALE + _ORIGIN
        u, v = np.meshgrid(np.arange(WIDTH) - (WIDTH - 1) / 2, np.arange(HEIGHT) - (HEIGHT - 1) / 2)
        in_camera = np.stack([u, v, np.full_like(u, FOCAL_LENGTH)], axis=-1).reshape(-1, 3)
        rays = in_camera @ rotation_matrix(quaternion)  # row vectors: this is R^T, camera to world
        rays[rays == 0] = 1e-12

        # From inside a box a ray leaves through the nearest of the three planes that it runs towards.
        distances = (np.where(rays > 0, COURTYARD, 0.0) - camera) / rays
        axes = distances.argmin(axis=1)
        points = camera + rays * distances.min(axis=1, keepdims=True)
        sides = (rays[np.arange(len(rays)), axes] > 0).astype(int)

        picture = np.empty((HEIGHT * WIDTH, 3), np.uint8)
        for axis in range(3):
            across, up = [other for other in range(3) if other != axis]
            for side in range(2):
                seen = (axes == axis) & (sides == side)
                surface = self.surfaces[axis][side]
                column = (points[seen, across] * _PIXELS_PER_METRE).astype(int).clip(0, surface.shape[1] - 1)
                row = (points[seen, up] * _PIXELS_PER_METRE).astype(int).clip(0, surface.shape[0] - 1)
                picture[seen] = surface[row, column]
        return picture.reshape(HEIGHT, WIDTH, 3)


def write_scene(
    folder: Path,
    train: int,
    test: int,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Path]:
    """Renders a scene in the Cambridge Landmarks format: `dataset_train.txt`, `dataset_test.txt`, `seq1/`, `seq2/`.

    Args:
        folder: made if it is missing; files of the same names in it are replaced.
        train, test: numbers of pictures.
        seed: the same seed gives the same files, byte for byte.
        progress: called with what is being done, how many pictures are done, and of how many.

    Returns: the two lists.
    Raises: OSError if the folder cannot be written.
    """
    generator = np.random.default_rng(seed)
    courtyard = Courtyard(seed)
    written = []
    for part, sequence, count in (("train", "seq1", train), ("test", "seq2", test)):
        (folder / sequence).mkdir(parents=True, exist_ok=True)
        lines = ["Synthetic courtyard, rendered by reference_tf", "ImageFile, Camera Position [X Y Z W P Q R]", ""]
        poses = random_poses(count, generator)
        for number, (position, quaternion) in enumerate(zip(poses.positions, poses.quaternions, strict=True), start=1):
            name = f"{sequence}/frame{number:05d}.png"
            _save_png(folder / name, courtyard.render(position, quaternion))
            lines.append(" ".join([name, *(f"{value:.6f}" for value in (*position, *quaternion))]))
            progress(f"{part} pictures", number, count)
        written.append(folder / f"dataset_{part}.txt")
        written[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return written


def _save_png(path: Path, picture: np.ndarray) -> None:
    """Writes a picture [h, w, 3], uint8 RGB; light compression, which is four times faster than the best."""
    from PIL import Image

    Image.fromarray(picture).save(path, compress_level=1)


def _turn(axis: int, angle: np.ndarray) -> np.ndarray:
    """The quaternions [n, 4] of turns by `angle` [n], in radians, about a coordinate axis."""
    quaternion = np.zeros((len(angle), 4))
    quaternion[:, 0] = np.cos(angle / 2)
    quaternion[:, 1 + axis] = np.sin(angle / 2)
    return quaternion


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The quaternion products a b, [n, 4]: first b turns, then a."""
    aw, ap, aq, ar = a.T
    bw, bp, bq, br = b.T
    return np.stack(
        [
            aw * bw - ap * bp - aq * bq - ar * br,
            aw * bp + ap * bw + aq * br - ar * bq,
            aw * bq - ap * br + aq * bw + ar * bp,
            aw * br + ap * bq - aq * bp + ar * bw,
        ],
        axis=1,
    )


Colour = tuple[int, int, int]


def _grid(across: float, up: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in metres of the pixels of a surface: x [1, columns] and y [rows, 1]."""
    return (
        np.arange(int(across * _PIXELS_PER_METRE))[None, :] / _PIXELS_PER_METRE,
        np.arange(int(up * _PIXELS_PER_METRE))[:, None] / _PIXELS_PER_METRE,
    )


def _facade(
    width: float, height: float, wall: Colour, glass: Colour, spacing: float, generator: np.random.Generator
) -> np.ndarray:
    """A brick wall with rows of windows every `spacing` metres, and one painted door."""
    x, y = _grid(width, height)
    course = (y // 0.3).astype(int)  # bricks of 0.8 m by 0.3 m, each course shifted by half a brick
    brick = ((x + 0.4 * (course % 2)) // 0.8).astype(int)
    shade = generator.normal(1.0, 0.08, (course.max() + 1, brick.max() + 1))[course, brick]
    picture = np.array(wall) * shade[..., None]
    window = (x % spacing > 0.3 * spacing) & (x % spacing < 0.7 * spacing) & (y % 3.0 > 1.0) & (y % 3.0 < 2.4)
    picture[window] = glass
    door = (np.abs(x - generator.uniform(0.3, 0.7) * width) < 0.9) & (y < 2.3)
    picture[door] = generator.integers(30, 225, 3)
    return picture.clip(0, 255).astype(np.uint8)


def _paving(width: float, depth: float, generator: np.random.Generator) -> np.ndarray:
    """Slabs of one metre in greys, with a lawn in the back corner."""
    x, y = _grid(width, depth)
    slabs = generator.normal(140, 14, (int(depth), int(width)))[y.astype(int), x.astype(int)]
    picture = slabs[..., None] * np.array([1.0, 0.98, 0.94])
    lawn = (x > 0.6 * width) & (y > 0.6 * depth)
    picture[lawn] = (88, 132, 62)
    return picture.clip(0, 255).astype(np.uint8)


def _sky(width: float, depth: float) -> np.ndarray:
    """Blue, paler towards the back."""
    x, y = _grid(width, depth)
    pale = np.broadcast_to(y / depth, (y.shape[0], x.shape[1]))[..., None]
    return (np.array([96, 150, 214]) * (1 - pale) + np.array([206, 220, 232]) * pale).astype(np.uint8)
