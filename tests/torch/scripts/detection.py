"""A single-stage detection head with anchors, box coding and its losses."""
import math

import torch
from torch import nn
import torch.nn.functional as F


def box_iou(boxes1, boxes2):
    area1 = (boxes1[:, 2] - boxes1[:, 0]) * (boxes1[:, 3] - boxes1[:, 1])
    area2 = (boxes2[:, 2] - boxes2[:, 0]) * (boxes2[:, 3] - boxes2[:, 1])

    lt = torch.max(boxes1[:, None, :2], boxes2[:, :2])  # [N,M,2]
    rb = torch.min(boxes1[:, None, 2:], boxes2[:, 2:])  # [N,M,2]

    wh = (rb - lt).clamp(min=0)  # [N,M,2]
    inter = wh[:, :, 0] * wh[:, :, 1]  # [N,M]
    return inter / (area1[:, None] + area2 - inter)


def encode_boxes(reference_boxes, proposals):
    widths = proposals[:, 2] - proposals[:, 0]
    heights = proposals[:, 3] - proposals[:, 1]
    ctr_x = proposals[:, 0] + 0.5 * widths
    ctr_y = proposals[:, 1] + 0.5 * heights
    gt_widths = reference_boxes[:, 2] - reference_boxes[:, 0]
    gt_heights = reference_boxes[:, 3] - reference_boxes[:, 1]
    gt_ctr_x = reference_boxes[:, 0] + 0.5 * gt_widths
    gt_ctr_y = reference_boxes[:, 1] + 0.5 * gt_heights
    return torch.stack(
        ((gt_ctr_x - ctr_x) / widths, (gt_ctr_y - ctr_y) / heights,
         torch.log(gt_widths / widths), torch.log(gt_heights / heights)), dim=1)


def make_anchors(height, width, stride, sizes=(8.0, 16.0)):
    shift_x = (torch.arange(0, width, dtype=torch.float32) + 0.5) * stride
    shift_y = (torch.arange(0, height, dtype=torch.float32) + 0.5) * stride
    shift_y, shift_x = torch.meshgrid(shift_y, shift_x, indexing="ij")
    shift_x = shift_x.reshape(-1)
    shift_y = shift_y.reshape(-1)
    shifts = torch.stack((shift_x, shift_y, shift_x, shift_y), dim=1)
    base = torch.tensor([[-s / 2, -s / 2, s / 2, s / 2] for s in sizes])
    return (shifts.view(-1, 1, 4) + base.view(1, -1, 4)).reshape(-1, 4)


class DetectionHead(nn.Module):
    def __init__(self, in_channels, num_anchors, num_classes, prior_probability=0.01):
        super().__init__()
        conv = []
        for _ in range(2):
            conv.append(nn.Conv2d(in_channels, in_channels, kernel_size=3, stride=1, padding=1))
            conv.append(nn.GroupNorm(2, in_channels))
            conv.append(nn.ReLU())
        self.conv = nn.Sequential(*conv)
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * num_classes, kernel_size=3, stride=1, padding=1)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=3, stride=1, padding=1)
        self.scale = nn.Parameter(torch.ones(1))
        for layer in self.conv.children():
            if isinstance(layer, nn.Conv2d):
                torch.nn.init.normal_(layer.weight, std=0.01)
                torch.nn.init.constant_(layer.bias, 0)
        torch.nn.init.constant_(self.cls_logits.bias, -math.log((1 - prior_probability) / prior_probability))
        self.num_classes = num_classes

    def forward(self, features):
        x = self.conv(features)
        cls_logits = self.cls_logits(x)
        # Permute classification output from (N, A * K, H, W) to (N, HWA, K).
        N, _, H, W = cls_logits.shape
        cls_logits = cls_logits.view(N, -1, self.num_classes, H, W)
        cls_logits = cls_logits.permute(0, 3, 4, 1, 2)
        cls_logits = cls_logits.reshape(N, -1, self.num_classes)  # Size=(N, HWA, K)

        box = self.bbox_reg(x) * self.scale
        box = box.view(N, -1, 4, H, W).permute(0, 3, 4, 1, 2).reshape(N, -1, 4)
        return cls_logits, box


def sigmoid_focal_loss(inputs, targets, alpha: float = 0.25, gamma: float = 2):
    p = torch.sigmoid(inputs)
    ce_loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce_loss * ((1 - p_t) ** gamma)
    if alpha >= 0:
        alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
        loss = alpha_t * loss
    return loss.sum()


def compute_loss(head, features, boxes, labels, anchors):
    cls_logits, box = head(features)
    losses = []
    for i in range(cls_logits.size(0)):
        iou = box_iou(boxes, anchors)
        matched_vals, matches = iou.max(dim=0)
        foreground = matched_vals >= 0.2
        num_foreground = foreground.sum().clamp(min=1)
        targets = torch.zeros_like(cls_logits[i])
        wanted = F.one_hot(labels[matches], head.num_classes).float()
        targets = torch.where(foreground.unsqueeze(1), wanted, targets)
        cls_loss = sigmoid_focal_loss(cls_logits[i], targets) / num_foreground
        encoded = encode_boxes(boxes[matches], anchors)
        box_loss = F.smooth_l1_loss(box[i], encoded, reduction='none').sum(1)
        box_loss = (box_loss * foreground.float()).sum() / num_foreground
        losses.append(cls_loss + box_loss)
    return torch.stack(losses).mean()


def train_one_epoch(head, optimizer, batches, boxes, labels):
    head.train()
    history = []
    for features in batches:
        anchors = make_anchors(features.shape[-2], features.shape[-1], 8)
        loss = compute_loss(head, features, boxes, labels, anchors)
        if not math.isfinite(loss.item()):
            raise ValueError("loss is not finite")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


def run(head, batches, boxes, labels):
    params = [p for p in head.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(params, lr=0.005, momentum=0.9, weight_decay=0.0005)
    return train_one_epoch(head, optimizer, batches, boxes, labels)
