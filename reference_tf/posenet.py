"""PoseNet: the pose of a camera, position and orientation, from one picture.

After Kendall, Grimes and Cipolla, "PoseNet: A Convolutional Network for Real-Time 6-DOF Camera Relocalization"
(ICCV 2015): a GoogLeNet with three pose heads, two of which help training only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_tf.network import Network

if TYPE_CHECKING:
    import tensorflow as tf

PICTURE_SIZE = 224
"""Height and width of the network's input in pixels."""

OUTPUTS = (
    "cls1_fc_pose_xyz",
    "cls1_fc_pose_wpqr",
    "cls2_fc_pose_xyz",
    "cls2_fc_pose_wpqr",
    "cls3_fc_pose_xyz",
    "cls3_fc_pose_wpqr",
)
"""The layers that PoseNet predicts with, in order; the last two, head 3's, are the ones that are evaluated."""


class PoseNet(Network):
    """The backbone and its three heads; input "images" [n, 224, 224, 3], outputs `OUTPUTS`: [n, 3] and [n, 4] each."""

    def setup(self) -> None:
        """Builds all layers: 59 convolutions, 9 dense layers, 12,431,173 parameters."""
        (
            self.feed("images")
            .conv(7, 7, 64, 2, 2, name="conv1")
            .max_pool(3, 3, 2, 2, name="pool1")
            .lrn(2, 2e-05, 0.75, name="norm1")
            .conv(1, 1, 64, 1, 1, name="reduction2")
            .conv(3, 3, 192, 1, 1, name="conv2")
            .lrn(2, 2e-05, 0.75, name="norm2")
            .max_pool(3, 3, 2, 2, name="pool2")
        )
        self._inception("icp1", "pool2", 64, (96, 128), (16, 32), 32, output="icp2_in")
        self._inception("icp2", "icp2_in", 128, (128, 192), (32, 96), 64, output="icp2_out")
        self.feed("icp2_out").max_pool(3, 3, 2, 2, name="icp3_in")
        self._inception("icp3", "icp3_in", 192, (96, 208), (16, 48), 64, output="icp3_out")
        self._helping_head("cls1", "icp3_out", dense="cls1_fc1_pose")
        self._inception("icp4", "icp3_out", 160, (112, 224), (24, 64), 64, output="icp4_out")
        self._inception("icp5", "icp4_out", 128, (128, 256), (24, 64), 64, output="icp5_out")
        self._inception("icp6", "icp5_out", 112, (144, 288), (32, 64), 64, output="icp6_out")
        self._helping_head("cls2", "icp6_out", dense="cls2_fc1")
        self._inception("icp7", "icp6_out", 256, (160, 320), (32, 128), 128, output="icp7_out")
        self.feed("icp7_out").max_pool(3, 3, 2, 2, name="icp8_in")
        self._inception("icp8", "icp8_in", 256, (160, 320), (32, 128), 128, output="icp8_out")
        self._inception("icp9", "icp8_out", 384, (192, 384), (48, 128), 128, output="icp9_out")
        self.feed("icp9_out").avg_pool(7, 7, 1, 1, padding="VALID", name="cls3_pool").fc(2048, name="cls3_fc1_pose")
        self._pose("cls3", "cls3_fc1_pose")

    def _inception(
        self, name: str, source: str, out0: int, out1: tuple[int, int], out2: tuple[int, int], out3: int, output: str
    ) -> None:
        """Four parallel branches joined on channels; out1 and out2 are (1x1 reduction, kernel) channels."""
        self.feed(source).conv(1, 1, out0, 1, 1, name=f"{name}_out0")
        (
            self.feed(source)
            .conv(1, 1, out1[0], 1, 1, name=f"{name}_reduction1")
            .conv(3, 3, out1[1], 1, 1, name=f"{name}_out1")
        )
        (
            self.feed(source)
            .conv(1, 1, out2[0], 1, 1, name=f"{name}_reduction2")
            .conv(5, 5, out2[1], 1, 1, name=f"{name}_out2")
        )
        self.feed(source).max_pool(3, 3, 1, 1, name=f"{name}_pool").conv(1, 1, out3, 1, 1, name=f"{name}_out3")
        self.feed(*(f"{name}_out{branch}" for branch in range(4))).concat(3, name=output)

    def _helping_head(self, name: str, source: str, dense: str) -> None:
        """A pose head in the middle of the network, which gives the early layers a gradient of their own."""
        (
            self.feed(source)
            .avg_pool(5, 5, 3, 3, padding="VALID", name=f"{name}_pool")
            .conv(1, 1, 128, 1, 1, name=f"{name}_reduction_pose")
            .fc(1024, name=dense)
        )
        self._pose(name, dense)

    def _pose(self, name: str, source: str) -> None:
        """Position x, y, z in metres and orientation w, p, q, r as a quaternion (not normalised)."""
        self.feed(source).fc(3, relu=False, name=f"{name}_fc_pose_xyz")
        self.feed(source).fc(4, relu=False, name=f"{name}_fc_pose_wpqr")


@dataclass(frozen=True)
class TrainingGraph:
    """The handles of the training graph: everything a script needs to run it.

    Shapes: images [n, 224, 224, 3], poses_x [n, 3], poses_q [n, 4], all float32; loss is a scalar.
    """

    graph: tf.Graph
    images: tf.Tensor
    poses_x: tf.Tensor
    poses_q: tf.Tensor
    net: PoseNet
    loss: tf.Tensor
    train: tf.Operation
    init: tf.Operation
    saver: tf.compat.v1.train.Saver

    @property
    def outputs(self) -> list[tf.Tensor]:
        """The six outputs in the order of `OUTPUTS`."""
        return [self.net.layers[name] for name in OUTPUTS]


def build_training_graph(batch: int | None = 75) -> TrainingGraph:
    """PoseNet as it is trained: placeholders, network, loss, Adam, initializer and saver in a graph of its own.

    Args:
        batch: the fixed batch size of the placeholders, or None for any.

    The three placeholders have no name of their own (`Placeholder`, `Placeholder_1`, `Placeholder_2`), and no random
    seed is set: the graph is the one that a training script of a user leaves behind.
    """
    import tensorflow.compat.v1 as tf1

    graph = tf1.Graph()
    with graph.as_default():
        images = tf1.placeholder(tf1.float32, [batch, PICTURE_SIZE, PICTURE_SIZE, 3])
        poses_x = tf1.placeholder(tf1.float32, [batch, 3])
        poses_q = tf1.placeholder(tf1.float32, [batch, 4])
        net = PoseNet({"images": images})
        loss = _loss(net, poses_x, poses_q)
        optimizer = tf1.train.AdamOptimizer(
            learning_rate=0.0001, beta1=0.9, beta2=0.999, epsilon=0.00000001, use_locking=False, name="Adam"
        )
        train = optimizer.minimize(loss)
        init = tf1.global_variables_initializer()
        saver = tf1.train.Saver(save_relative_paths=True)  # the folder can be moved; the graph is the same
    return TrainingGraph(graph, images, poses_x, poses_q, net, loss, train, init, saver)


def _loss(net: PoseNet, poses_x: tf.Tensor, poses_q: tf.Tensor) -> tf.Tensor:
    """The weighted sum of the six distances; each distance is one norm over the whole batch, not a mean.

    Written out term by term, as in the original: the graph of these lines is what a converter is to recognise.
    """
    import tensorflow.compat.v1 as tf1

    p1_x, p1_q, p2_x, p2_q, p3_x, p3_q = (net.layers[name] for name in OUTPUTS)
    l1_x = tf1.sqrt(tf1.reduce_sum(tf1.square(tf1.subtract(p1_x, poses_x)))) * 0.3
    l1_q = tf1.sqrt(tf1.reduce_sum(tf1.square(tf1.subtract(p1_q, poses_q)))) * 150
    l2_x = tf1.sqrt(tf1.reduce_sum(tf1.square(tf1.subtract(p2_x, poses_x)))) * 0.3
    l2_q = tf1.sqrt(tf1.reduce_sum(tf1.square(tf1.subtract(p2_q, poses_q)))) * 150
    l3_x = tf1.sqrt(tf1.reduce_sum(tf1.square(tf1.subtract(p3_x, poses_x)))) * 1
    l3_q = tf1.sqrt(tf1.reduce_sum(tf1.square(tf1.subtract(p3_q, poses_q)))) * 500
    return l1_x + l1_q + l2_x + l2_q + l3_x + l3_q
