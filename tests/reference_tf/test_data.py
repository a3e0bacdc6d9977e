"""The synthetic scene, the Cambridge Landmarks format, and the files that a converted script reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import tf2ms  # noqa: F401 - lets MindSpore be imported in a process that has imported TensorFlow
from reference_tf.cambridge import load_crop, read_list
from reference_tf.cli import main
from reference_tf.dataset import Form, convert
from reference_tf.errors import UserError
from reference_tf.npz import load_data, load_poses, load_predictions
from reference_tf.scene import COURTYARD, MODEL_SCALE, Courtyard, random_poses, rotation_matrix, write_scene

HEADER = "a scene\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
POSE = "1 2 3 1 0 0 0"


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(folder, train=5, test=2)
    return folder


def small_folder(tmp_path: Path, train: str, test: str = f"a.png {POSE}\n") -> Path:
    Image.new("RGB", (500, 300), (10, 20, 30)).save(tmp_path / "a.png")
    (tmp_path / "dataset_train.txt").write_text(HEADER + train)
    (tmp_path / "dataset_test.txt").write_text(HEADER + test)
    return tmp_path


# The scene


def test_poses_are_unit_quaternions_inside_the_courtyard():
    poses = random_poses(200, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(poses.quaternions, axis=1), 1, atol=1e-12)
    assert (poses.quaternions[:, 0] > 0).all()
    assert (np.abs(poses.positions[:, :2]) < COURTYARD[:2] * MODEL_SCALE / 2).all()
    assert poses.positions.std(axis=0)[0] > 0.15


def test_what_the_camera_sees_is_where_it_looks():
    courtyard = Courtyard()
    # Level, above the middle of the ground: towards the back facade, and a quarter turn to either side.
    position = np.array([0, 0, 2 * MODEL_SCALE])
    half = np.sqrt(0.5)
    back = courtyard.render(position, np.array([half, half, 0, 0]))
    right = courtyard.render(position, np.array([0.5, 0.5, -0.5, 0.5]))
    left = courtyard.render(position, np.array([0.5, 0.5, 0.5, -0.5]))
    assert back.shape == (270, 480, 3)
    red, _, blue = np.median(right[60:180, 180:300], axis=(0, 1))
    assert blue > red + 60  # the right facade is blue, the left one is red
    red, _, blue = np.median(left[60:180, 180:300], axis=(0, 1))
    assert red > blue + 60
    assert back[-1].std(axis=1).mean() < 40  # the ground is grey
    assert (back != right).mean() > 0.5


def test_rotation_is_from_world_to_camera():
    half = np.sqrt(0.5)
    # The camera that looks along the world's y: x stays, y is forward (z of the camera), z is up (-y of the camera).
    np.testing.assert_allclose(
        rotation_matrix(np.array([half, half, 0, 0])), [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-12
    )


def test_a_seed_gives_the_same_files(scene, tmp_path):
    write_scene(tmp_path, train=5, test=2)
    for path in sorted(path.relative_to(scene) for path in scene.rglob("*.*")):
        assert (scene / path).read_bytes() == (tmp_path / path).read_bytes(), path
    write_scene(tmp_path, train=5, test=2, seed=1)
    assert (scene / "dataset_train.txt").read_text() != (tmp_path / "dataset_train.txt").read_text()


# From pictures to data


def test_pictures_are_resized_cropped_and_bgr(tmp_path):
    (picture,) = read_list(small_folder(tmp_path, f"a.png {POSE}\n"), "train")
    crop = load_crop(picture)
    assert (crop.shape, crop.dtype) == ((224, 224, 3), np.uint8)
    assert crop[0, 0].tolist() == [30, 20, 10]
    # The middle of 455 x 256: 224 columns from the 115th, 224 rows from the 16th.
    ramp = np.zeros((256, 455, 3), np.uint8)
    ramp[..., 0] = np.arange(256)[:, None]
    ramp[..., 2] = np.minimum(np.arange(455), 255)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert load_crop(picture)[0, 0].tolist() == [115, 0, 16]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_npz_and_mindrecord_hold_the_same(scene, tmp_path, layout):
    from mindspore.dataset import MindDataset

    columns = ["pictures", "xyz", "wpqr"]
    written = convert(scene, tmp_path, Form.parse("pictures, xyz, wpqr", layout))
    assert [path.name for path in written] == [
        "mean.npy",
        "train.npz",
        "train.mindrecord",
        "test.npz",
        "test.mindrecord",
    ]
    assert not list(tmp_path.glob(".crops-*"))
    mean = np.load(tmp_path / "mean.npy")
    for part, count in (("train", 5), ("test", 2)):
        with np.load(tmp_path / f"{part}.npz") as arrays:
            assert arrays.files == columns
            stored = {name: arrays[name] for name in columns}
        assert stored["pictures"].shape == ((count, 3, 224, 224) if layout == "NCHW" else (count, 224, 224, 3))
        assert {array.dtype for array in stored.values()} == {np.dtype(np.float32)}
        rows = list(
            MindDataset(str(tmp_path / f"{part}.mindrecord"), columns, shuffle=False).create_dict_iterator(
                output_numpy=True
            )
        )
        assert len(rows) == count
        for name in columns:
            np.testing.assert_array_equal(np.stack([row[name] for row in rows]), stored[name])

        pictures = read_list(scene, part)
        images, poses_x, poses_q = load_data(tmp_path / f"{part}.npz")
        np.testing.assert_array_equal(images, np.stack([load_crop(picture) for picture in pictures]) - mean)
        np.testing.assert_allclose(poses_x, [picture.position for picture in pictures], rtol=1e-6)
        np.testing.assert_allclose(poses_q, [picture.quaternion for picture in pictures], rtol=1e-6)
        if part == "train":
            np.testing.assert_allclose(images.mean(axis=0), 0, atol=1e-4)


# Mistakes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png 1 2 3 1 0 0", "expected 'path x y z w p q r', found 7 fields"),
        ("a.png 1 2 3 1 0 0 zero", "not seven numbers"),
        ("a.png 1 2 nan 1 0 0 0", "not finite"),
        ("a.png 1 2 3 0 0 0 0", "quaternion is zero"),
        (f"b.png {POSE}", "no such picture: b.png"),
        (f"../a.png {POSE}", "leads out of the folder"),
        (f"/etc/hostname {POSE}", "leads out of the folder"),
        (f"a\0.png {POSE}", "is no path"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    folder = small_folder(tmp_path, f"a.png {POSE}\n\n{line}\n")
    with pytest.raises(UserError, match=rf"dataset_train\.txt:6: .*{message}"):
        read_list(folder, "train")


def test_a_file_that_is_no_picture(tmp_path):
    folder = small_folder(tmp_path, f"dataset_test.txt {POSE}\n")
    with pytest.raises(UserError, match=r"dataset_train\.txt:4: dataset_test\.txt cannot be read as a picture"):
        convert(folder, tmp_path / "out", Form())


def test_a_link_out_of_the_folder(tmp_path):
    (tmp_path / "outside.png").write_bytes(b"")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(UserError, match="leads out"):
        read_list(small_folder(tmp_path / "in", f"link.png {POSE}\n"), "train")


@pytest.mark.parametrize("columns", ["a,b", "a,b,b", "a,b,c d", "a,b,1c", ""])
def test_bad_columns(columns):
    with pytest.raises(UserError, match="column"):
        Form.parse(columns, "NCHW")


def test_command_line_errors_are_one_line(tmp_path):
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, list(arguments))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    folder = str(small_folder(tmp_path, "a.png 1 2 3\n"))
    code, output = run("data", "--cambridge", folder, "-o", str(tmp_path / "out"))
    assert code == 1
    assert "dataset_train.txt:4" in output.replace("\n", "")
    assert not (tmp_path / "out").exists()
    assert run("data", "-o", folder)[0] == 2
    (tmp_path / "empty").mkdir()
    code, output = run("data", "--cambridge", str(tmp_path / "empty"), "-o", str(tmp_path / "out"))
    assert code == 1
    assert "no such file" in output
    (tmp_path / "train.npz").write_bytes(b"no zip")
    code, output = run("train", "--data", folder, "--steps", "1")
    assert code == 1
    assert "not an .npz file" in output
    assert run("evaluate", "--data", folder, "--predictions", folder)[0] == 1


def test_bad_npz(tmp_path):
    path = tmp_path / "x.npz"
    poses = np.zeros((2, 3), np.float32), np.ones((2, 4), np.float32)
    np.savez(path, np.zeros((2, 3, 224, 224), np.float32), *poses)
    assert load_data(path)[0].shape == (2, 224, 224, 3)
    assert load_poses(path)[1].shape == (2, 4)
    with pytest.raises(UserError, match="expected 6 arrays, found 3"):
        load_predictions(path, 2)
    np.savez(path, np.zeros((1, 3, 224, 224), np.float32), *poses)
    with pytest.raises(UserError, match=r"picture array has shape \[1, 224, 224, 3\]"):
        load_data(path)
    np.savez(path, *([poses[0], poses[1]] * 3))
    assert load_predictions(path, 2)[1].shape == (2, 4)
    with pytest.raises(UserError, match=r"expected \[3, 3\]"):
        load_predictions(path, 3)
    np.savez(path, np.zeros((2, 3, 224, 224), np.float32), np.full((2, 3), np.nan), poses[1])
    with pytest.raises(UserError, match="not finite"):
        load_data(path)
    np.savez(path, np.array([{}], dtype=object), *poses)
    with pytest.raises(UserError, match=r"cannot be read as \.npz"):
        load_data(path)
    np.save(tmp_path / "x.npy", poses[0])
    with pytest.raises(UserError, match=r"not an \.npz file"):
        load_poses(tmp_path / "x.npy")
