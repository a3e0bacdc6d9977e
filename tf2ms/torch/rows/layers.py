"""Modules of torch.nn."""

from __future__ import annotations

from tf2ms.torch.table import row

NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}

row("nn.Module", "nn.Cell", untested="a base class: every whole-file test")
row("nn.Sequential(*args)", "nn.SequentialCell", "nn.Sequential(nn.Linear(4, 3), nn.ReLU())(rows)")
row(
    "nn.Conv2d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True)",
    "nn.Conv2d(in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, stride=stride,"
    " pad_mode='pad', padding=padding, dilation=dilation, group=groups, has_bias=bias)",
    "nn.Conv2d(4, 6, 3)(image)",
    changed="bias",
)
row(
    "nn.BatchNorm2d(num_features, eps=1e-5, momentum=0.1, affine=True)",
    "nn.BatchNorm2d(num_features=num_features, eps=eps, momentum=1 - momentum, affine=affine)",
    "nn.BatchNorm2d(4)(image)",
    weights=NORM,
)
row("nn.ReLU(inplace=False)", "nn.ReLU()", "nn.ReLU()(x)")
row("nn.Linear(in_features, out_features, bias=True)", "nn.Dense(in_channels=in_features, out_channels=out_features, has_bias=bias)", "nn.Linear(4, 3)(rows)")
row("nn.MaxPool2d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)",
    "nn.MaxPool2d(kernel_size=kernel_size, stride=kernel_size if stride is None else stride, pad_mode='pad' if padding or dilation != 1 or ceil_mode else ..., padding=padding, dilation=dilation, return_indices=return_indices, ceil_mode=ceil_mode)", "nn.MaxPool2d(2)(image)", changed="stride")
row("nn.Dropout(p=0.5, inplace=False)", "nn.Dropout(p=p)", "nn.Dropout(0.0)(x)", changed="p")
row("nn.CrossEntropyLoss()", "nn.CrossEntropyLoss()", "nn.CrossEntropyLoss()(rows, classes)", called="(input, target) -> self(input, target.int())")
row("optim.SGD(params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False)", "optim.SGD(params=params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov)", untested="x")
row("Module.parameters()", "self.trainable_params()", untested="x")
row("Tensor.view(*shape)", "self.view", "x.view(2, -1)")
