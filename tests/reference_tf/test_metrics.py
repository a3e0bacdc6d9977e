"""pose_errors against values worked out by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from reference_tf.metrics import mean_pose, pose_errors


def test_by_hand():
    half = np.sqrt(0.5)
    xyz = np.array([[0, 0, 0], [1, 2, 3], [1, 1, 1]], np.float32)
    poses_x = np.array([[3, 4, 0], [1, 2, 3], [1, 1, 2]], np.float32)
    # A quarter turn; the same turn, longer and with the other sign; 60 degrees about x.
    wpqr = np.array([[1, 0, 0, 0], [-3, 0, 0, -3], [np.cos(np.pi / 6), 0.5, 0, 0]])
    poses_q = np.array([[half, half, 0, 0], [half, 0, 0, half], [2, 0, 0, 0]])
    errors = pose_errors(xyz, wpqr, poses_x, poses_q)
    np.testing.assert_allclose(errors.metres, [5, 0, 1], atol=1e-12)
    np.testing.assert_allclose(errors.degrees, [90, 0, 60], atol=1e-5)
    assert errors.median_metres == pytest.approx(1)
    assert errors.median_degrees == pytest.approx(60)
    assert str(errors) == "median 1.000 m, 60.00 degrees"


def test_a_quaternion_of_zero_is_as_wrong_as_can_be():
    assert pose_errors(np.zeros((1, 3)), np.zeros((1, 4)), np.zeros((1, 3)), np.ones((1, 4))).median_degrees == 180


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4), (1, 3), (1, 4)), ((0, 3), (0, 4), (0, 3), (0, 4)), ((2, 3),) * 4])
def test_shapes_must_match(shapes):
    with pytest.raises(ValueError, match="expected shapes"):
        pose_errors(*(np.ones(shape) for shape in shapes))


def test_mean_pose_takes_opposite_quaternions_for_the_same():
    x, q = mean_pose(np.array([[0, 0, 0], [2, 4, 6]]), np.array([[1, 0, 0, 0], [-1, 0, 0, 0]]))
    np.testing.assert_allclose(x, [1, 2, 3])
    np.testing.assert_allclose(q, [1, 0, 0, 0])


def test_needs_numpy_alone():
    code = "import sys, reference_tf.metrics; sys.exit(bool({'tensorflow', 'mindspore', 'PIL'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
