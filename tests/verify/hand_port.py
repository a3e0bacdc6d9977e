"""A PoseNet as one ports it by eye, with four slips that such a port is known for."""

import mindspore.nn as nn
import mindspore.ops as ops


class Conv(nn.Cell):
    def __init__(self, cin, cout, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, pad_mode="same", has_bias=True)
        self.relu = nn.ReLU()

    def construct(self, x):
        return self.relu(self.conv(x))


class Inception(nn.Cell):
    def __init__(self, cin, out0, reduction1, out1, reduction2, out2, out3, kernel3=1):
        super().__init__()
        self.out0 = Conv(cin, out0, 1)
        self.reduction1 = Conv(cin, reduction1, 1)
        self.out1 = Conv(reduction1, out1, 3)
        self.reduction2 = Conv(cin, reduction2, 1)
        self.out2 = Conv(reduction2, out2, 5)
        self.pool = nn.MaxPool2d(3, 1, "same")
        self.out3 = Conv(cin, out3, kernel3)
        self.concat = ops.Concat(1)

    def construct(self, x):
        branches = (self.out0(x), self.out1(self.reduction1(x)), self.out2(self.reduction2(x)))
        return self.concat((*branches, self.out3(self.pool(x))))


class PoseNet(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv1 = Conv(3, 64, 7, 2)
        self.pool1 = nn.MaxPool2d(3, 2, "same")
        self.norm1 = nn.LRN(2, 1.0, 2e-05, 0.75)
        self.reduction2 = Conv(64, 64, 1)
        self.conv2 = Conv(64, 192, 3)
        self.norm2 = nn.LRN(2, 1.0, 2e-05, 0.75)
        self.pool2 = nn.MaxPool2d(3, 2, "same")
        self.icp1 = Inception(192, 64, 96, 128, 16, 32, 32, kernel3=5)  # the graph: 1
        self.icp2 = Inception(256, 128, 128, 192, 32, 96, 64)
        self.icp3_in = nn.MaxPool2d(3, 2, "same")
        self.icp3 = Inception(480, 192, 96, 208, 16, 48, 64)
        self.icp4 = Inception(512, 160, 112, 224, 24, 64, 64)
        self.icp5 = Inception(512, 128, 128, 256, 24, 64, 64)
        self.icp6 = Inception(512, 112, 144, 288, 32, 64, 64)
        self.icp7 = Inception(528, 256, 160, 320, 32, 128, 128)
        self.icp8_in = nn.MaxPool2d(3, 2, "same")
        self.icp8 = Inception(832, 256, 160, 320, 32, 128, 128)
        self.icp9 = Inception(832, 384, 192, 384, 48, 128, 128)
        self.cls1_pool = nn.AvgPool2d(5, 3)
        self.cls1_reduction_pose = Conv(512, 128, 1)
        self.cls1_fc1_pose = nn.Dense(2048, 1024, activation="relu")
        self.cls1_fc_pose_xyz = nn.Dense(1024, 3)
        self.cls1_fc_pose_wpqr = nn.Dense(1024, 4)
        self.cls2_pool = nn.AvgPool2d(5, 3)
        self.cls2_reduction_pose = Conv(528, 128, 1)
        self.cls2_fc1 = nn.Dense(2048, 1024, activation="relu")
        self.cls2_fc_pose_xyz = nn.Dense(1024, 3)
        self.cls2_fc_pose_wpqr = nn.Dense(1024, 4)
        self.cls3_pool = nn.AvgPool2d(7, 1)
        self.cls3_fc1_pose = nn.Dense(1024, 2048, activation="relu")
        self.cls3_fc_pose_xyz = nn.Dense(2048, 3)
        self.cls3_fc_pose_wpqr = nn.Dense(2048, 4)

    def construct(self, x):
        x = self.norm1(self.pool1(self.conv1(x)))
        x = self.pool2(self.norm2(self.conv2(self.reduction2(x))))
        x = self.icp3(self.icp3_in(self.icp2(self.icp1(x))))
        head = self.cls1_reduction_pose(self.cls1_pool(x))
        head = self.cls1_fc1_pose(head.reshape(-1, 2048))  # the graph: in the order height, width, channels
        cls1 = self.cls1_fc_pose_xyz(head), self.cls1_fc_pose_wpqr(head)
        x = self.icp6(self.icp5(self.icp4(x)))
        head = self.cls2_reduction_pose(self.cls2_pool(x))
        head = self.cls2_fc1(ops.transpose(head, (0, 2, 3, 1)).reshape(-1, 2048))
        cls2 = self.cls2_fc_pose_xyz(head), self.cls2_fc_pose_wpqr(head)
        x = self.icp9(self.icp8(self.icp8_in(self.icp7(x))))
        head = self.cls3_fc1_pose(self.cls3_pool(x).reshape(-1, 1024))
        return (*cls1, *cls2, self.cls3_fc_pose_xyz(head), self.cls3_fc_pose_wpqr(head))


class PoseNetWithLoss(nn.Cell):
    def __init__(self, pose_net):
        super().__init__()
        self.pose_net = pose_net

    def construct(self, images, poses_x, poses_q):
        outputs = self.poss_net(images)  # pose_net
        loss = 0
        for xyz, wpqr, a, b in zip(outputs[0::2], outputs[1::2], (0.3, 0.3, 1), (150, 150, 500), strict=True):
            loss += a * ops.sqrt(ops.square(xyz - poses_x).sum()) + b * ops.sqrt(ops.square(wpqr - poses_q).sum())
        return loss


def train(lr=0.001):  # the graph: 0.0001
    network = PoseNetWithLoss(PoseNet())
    optimizer = nn.Adam(network.trainable_params(), learning_rate=lr)
    return nn.TrainOneStepCell(network, optimizer)
