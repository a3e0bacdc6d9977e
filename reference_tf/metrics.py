"""The error of predicted poses, with numpy alone: the same for TensorFlow and for a converted script."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PoseErrors:
    """The errors of n poses: `metres` [n] and `degrees` [n], float64."""

    metres: np.ndarray
    degrees: np.ndarray

    @property
    def median_metres(self) -> float:
        """Median distance between predicted and true position."""
        return float(np.median(self.metres))

    @property
    def median_degrees(self) -> float:
        """Median angle between predicted and true orientation."""
        return float(np.median(self.degrees))

    def __str__(self) -> str:
        return f"median {self.median_metres:.3f} m, {self.median_degrees:.2f} degrees"


def pose_errors(xyz: np.ndarray, wpqr: np.ndarray, poses_x: np.ndarray, poses_q: np.ndarray) -> PoseErrors:
    """Distance ||xyz - poses_x|| and angle 2 acos(|<wpqr, poses_q>|) of each pose, quaternions normalised.

    Args:
        xyz, wpqr: predicted positions [n, 3] in metres and quaternions [n, 4].
        poses_x, poses_q: the true ones, same shapes.

    A predicted quaternion of zero has no direction and counts as 180 degrees off.

    Raises: ValueError if the shapes do not match, or without any pose.
    """
    shapes = [np.shape(array) for array in (xyz, wpqr, poses_x, poses_q)]
    count = len(xyz)
    if shapes != [(count, 3), (count, 4), (count, 3), (count, 4)] or not count:
        raise ValueError(f"expected shapes [n, 3], [n, 4], [n, 3], [n, 4] with n > 0, got {shapes}")
    metres = np.linalg.norm(np.asarray(xyz, np.float64) - np.asarray(poses_x, np.float64), axis=1)
    cosine = np.abs(np.sum(_normalised(wpqr) * _normalised(poses_q), axis=1))
    return PoseErrors(metres, np.degrees(2 * np.arccos(np.minimum(cosine, 1.0))))


def mean_pose(poses_x: np.ndarray, poses_q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The one pose [3], [4] to predict without looking at the picture: means of positions and of quaternions.

    A quaternion and its negative are the same orientation; they are brought to one side before the mean is taken.
    """
    quaternions = _normalised(poses_q)
    towards_first = np.where(quaternions @ quaternions[0] < 0, -1.0, 1.0)
    return np.mean(poses_x, axis=0, dtype=np.float64), (quaternions * towards_first[:, None]).mean(axis=0)


def _normalised(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions [n, 4] of length 1, float64; zero stays zero."""
    quaternions = np.asarray(quaternions, np.float64)
    length = np.linalg.norm(quaternions, axis=1, keepdims=True)
    return quaternions / np.where(length == 0, 1.0, length)
