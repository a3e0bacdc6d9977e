"""Modules of torch.nn."""

from __future__ import annotations

import libcst as cst

from tf2ms.torch.calls import Call
from tf2ms.torch.table import Example, forward, row, rule
from tf2ms.torch.target import code

LINEAR = {"linear1": "dense1", "linear2": "dense2"}
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
AFFINE = {"weight": "gamma", "bias": "beta"}

# Containers
row("nn.Module", "nn.Cell", untested="a base class: the whole-file tests use it")
row("nn.Sequential", "nn.SequentialCell", "nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))(rows)")


@rule("nn.ModuleList(modules=None)", untested="not called: the whole-file tests use it", reference="nn.CellList")
def module_list(call: Call) -> object:
    """nn.CellList(modules)."""
    modules = call.arg("modules")
    if isinstance(modules, cst.GeneratorExp):
        made = cst.ListComp(modules.elt, modules.for_in)
        call.bound.given["modules"] = call.bound.given["modules"].with_changes(value=made)
    elif isinstance(modules, cst.Call) and code(modules.func) in ("map", "filter", "zip", "reversed"):
        made_list = cst.Call(cst.Name("list"), [cst.Arg(modules)])
        call.bound.given["modules"] = call.bound.given["modules"].with_changes(value=made_list)
    return call.apply("nn.CellList(modules)")


row("nn.ModuleDict", "nn.CellDict", untested="not called: the whole-file tests use it")
row("nn.ParameterList(values=())", "ms.ParameterTuple(values)", untested="not called")
row("nn.Identity(*args, **kwargs)", "nn.Identity()", "nn.Identity()(x)", ignored="args kwargs")
row("nn.Parameter(data, requires_grad=True)", "ms.Parameter(data, requires_grad=requires_grad)", untested="whole files")

# Convolutions: pad_mode 'pad' is PyTorch's padding; MindSpore's default is 'same'.
_ARGUMENTS = (
    "in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros'"
)


def _convolution(call: Call, cell: str, dims: int) -> object:
    padding = call.literal("padding", 0)
    if isinstance(padding, str):
        if padding == "same" and call.literal("kernel_size") is ...:
            call.note("'same' pads an even kernel at the other side")
        return call.apply(
            f"{cell}(in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, stride=stride,"
            f" pad_mode='{padding}', dilation=dilation, group=groups, has_bias=bias)"
        )
    # MindSpore wants padding on both sides of each axis: (top, bottom, left, right)
    value = "padding"
    node = call.arg("padding")
    if dims > 1 and node is not None:
        if isinstance(padding, tuple | list) and len(padding) == dims:
            value = "(" + ", ".join(f"{p}, {p}" for p in padding) + ")"
        elif padding is ... and call.value("padding").kind in ("tuple", "list"):
            value = "tuple(p for side in padding for p in (side, side))"
    return call.apply(
        f"{cell}(in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, stride=stride,"
        f" pad_mode='pad', padding={value}, dilation=dilation, group=groups, has_bias=bias)"
    )


@rule(
    f"nn.Conv1d({_ARGUMENTS})",
    "nn.Conv1d(4, 6, 3)(signal)",
    "nn.Conv1d(4, 6, 3, stride=2, padding=1, bias=False)(signal)",
    "nn.Conv1d(4, 8, 3, padding=2, dilation=2, groups=2)(signal)",
    changed="bias",
    reference="nn.Conv1d(pad_mode='pad', has_bias=True)",
)
def conv1d(call: Call) -> object:
    """nn.Conv1d(in_channels, out_channels, kernel_size, stride, pad_mode='pad', padding, dilation, group, has_bias)."""
    return _convolution(call, "nn.Conv1d", 1)


@rule(
    f"nn.Conv2d({_ARGUMENTS})",
    "nn.Conv2d(4, 6, 3)(image)",
    "nn.Conv2d(4, 6, kernel_size=(3, 5), stride=(1, 2), padding=(1, 2))(image)",
    "nn.Conv2d(4, 6, 3, 2, 1, bias=False)(image)",
    "nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4)(image)",
    "nn.Conv2d(4, 6, 3, padding='same')(image)",
    "nn.Conv2d(4, 6, 3, padding='valid')(image)",
    changed="bias",
    reference="nn.Conv2d(pad_mode='pad', has_bias=True)",
)
def conv2d(call: Call) -> object:
    """nn.Conv2d(in_channels, out_channels, kernel_size, stride, pad_mode='pad', padding, dilation, group, has_bias)."""
    return _convolution(call, "nn.Conv2d", 2)


@rule(
    f"nn.Conv3d({_ARGUMENTS})",
    "nn.Conv3d(4, 6, 3)(volume)",
    "nn.Conv3d(4, 6, 3, stride=2, padding=1)(volume)",
    "nn.Conv3d(4, 6, (1, 3, 3), padding=(0, 1, 1), bias=False)(volume)",
    changed="bias",
    reference="nn.Conv3d(pad_mode='pad', has_bias=True)",
)
def conv3d(call: Call) -> object:
    """nn.Conv3d(in_channels, out_channels, kernel_size, stride, pad_mode='pad', padding, dilation, group, has_bias)."""
    return _convolution(call, "nn.Conv3d", 3)


_TRANSPOSED = (
    "in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1,"
    " padding_mode='zeros'"
)


def _transposed(call: Call, cell: str, dims: int) -> object:
    padding = call.literal("padding", 0)
    value = "padding"
    if isinstance(padding, tuple | list):
        value = "(" + ", ".join(f"{p}, {p}" for p in padding) + ")"
    output = ", output_padding=output_padding" if dims > 1 else ""
    return call.apply(
        f"{cell}(in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, stride=stride,"
        f" pad_mode='pad', padding={value}{output}, dilation=dilation, group=groups, has_bias=bias)"
    )


@rule(
    f"nn.ConvTranspose1d({_TRANSPOSED})",
    "nn.ConvTranspose1d(4, 6, 4, stride=2, padding=1)(signal)",
    "nn.ConvTranspose1d(4, 6, 3, bias=False)(signal)",
    changed="bias",
    reference="nn.Conv1dTranspose(pad_mode='pad', has_bias=True)",
)
def conv_transpose1d(call: Call) -> object:
    """nn.Conv1dTranspose(…, pad_mode='pad', padding, dilation, group, has_bias)."""
    return _transposed(call, "nn.Conv1dTranspose", 1)


@rule(
    f"nn.ConvTranspose2d({_TRANSPOSED})",
    "nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1)(image)",
    "nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1)(image)",
    "nn.ConvTranspose2d(4, 6, kernel_size=2, stride=2, bias=False)(image)",
    "nn.ConvTranspose2d(4, 6, 4, 1, 0, bias=False)(image)",
    changed="bias",
    reference="nn.Conv2dTranspose(pad_mode='pad', has_bias=True)",
)
def conv_transpose2d(call: Call) -> object:
    """nn.Conv2dTranspose(…, pad_mode='pad', padding, dilation, group, has_bias)."""
    if call.literal("output_padding", 0) == 0:
        return _transposed(call, "nn.Conv2dTranspose", 1)
    call.note("output_padding of nn.Conv2dTranspose differs from PyTorch's: composed")
    return call.apply(
        "helper.ConvTranspose2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding,"
        " output_padding=output_padding, groups=groups, bias=bias, dilation=dilation)"
    )


@rule(
    f"nn.ConvTranspose3d({_TRANSPOSED})",
    "nn.ConvTranspose3d(4, 6, 2, stride=2)(volume)",
    "nn.ConvTranspose3d(4, 6, 3, padding=1)(volume)",
    changed="bias",
    reference="nn.Conv3dTranspose(pad_mode='pad', has_bias=True)",
)
def conv_transpose3d(call: Call) -> object:
    """nn.Conv3dTranspose(…, pad_mode='pad', padding, output_padding, dilation, group, has_bias)."""
    return _transposed(call, "nn.Conv3dTranspose", 3)


row(
    "nn.Linear(in_features, out_features, bias=True)",
    "nn.Dense(in_channels=in_features, out_channels=out_features, has_bias=bias)",
    "nn.Linear(4, 3)(rows)",
    "nn.Linear(in_features=4, out_features=3, bias=False)(x)",
)
row(
    "nn.Bilinear(in1_features, in2_features, out_features, bias=True)",
    "nn.BiDense(in1_channels=in1_features, in2_channels=in2_features, out_channels=out_features, has_bias=bias)",
    "nn.Bilinear(4, 4, 3)(rows, rows2)",
)


@rule(
    "nn.Embedding(num_embeddings, embedding_dim, padding_idx=None)",
    "nn.Embedding(6, 4)(ids)",
    "nn.Embedding(6, 4, padding_idx=0)(ids)",
    "nn.Embedding(6, 4, 2)(ids)",
    weights={"weight": "embedding_table"},
    reference="nn.Embedding",
)
def embedding(call: Call) -> object:
    """nn.Embedding(vocab_size=num_embeddings, embedding_size=embedding_dim, embedding_table=Normal(1.0))."""
    padding = call.arg("padding_idx")
    kind = "nn.Embedding" if padding is None or code(padding) == "None" else "helper.PaddedEmbedding"
    return call.apply(
        f"{kind}(vocab_size=num_embeddings, embedding_size=embedding_dim, embedding_table=Normal(1.0),"
        " padding_idx=padding_idx)"
    )


row(
    "nn.Flatten(start_dim=1, end_dim=-1)",
    "nn.Flatten(start_dim=start_dim, end_dim=end_dim)",
    "nn.Flatten()(image)",
    "nn.Flatten(2)(image)",
)
row(
    "nn.Unflatten(dim, unflattened_size)",
    "nn.Unflatten(axis=dim, unflattened_size=unflattened_size)",
    "nn.Unflatten(1, (2, 2))(rows)",
)

# Normalisation: MindSpore's momentum is the share of the old value.
for _dims, _input in (("1d", "rows"), ("2d", "image"), ("3d", "volume")):
    row(
        f"nn.BatchNorm{_dims}(num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True)",
        f"nn.BatchNorm{_dims}(num_features=num_features, eps=eps, momentum=1 - momentum, affine=affine)",
        f"nn.BatchNorm{_dims}(4)({_input})",
        f"nn.BatchNorm{_dims}(4, eps=1e-3, momentum=0.05)({_input})",
        f"nn.BatchNorm{_dims}(4, affine=False)({_input})",
        weights={k: f"bn2d.{v}" for k, v in NORM.items()} if _dims == "3d" else NORM,
    )
row(
    "nn.SyncBatchNorm(num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True)",
    "nn.SyncBatchNorm(num_features=num_features, eps=eps, momentum=1 - momentum, affine=affine)",
    untested="needs several devices",
    weights=NORM,
)

row(
    "nn.LayerNorm(normalized_shape, eps=1e-5, elementwise_affine=True)",
    "helper.LayerNorm(normalized_shape, eps=eps, elementwise_affine=elementwise_affine)",
    "nn.LayerNorm(4)(x)",
    "nn.LayerNorm((3, 4))(x)",
    "nn.LayerNorm([4], eps=1e-6)(x)",
    "nn.LayerNorm(4, elementwise_affine=False)(x)",
    weights=AFFINE,
    note="the gradient of nn.LayerNorm corrupts memory on CPU now and then (MindSpore 2.8): composed",
)
row(
    "nn.GroupNorm(num_groups, num_channels, eps=1e-5, affine=True)",
    "nn.GroupNorm(num_groups=num_groups, num_channels=num_channels, eps=eps, affine=affine)",
    "nn.GroupNorm(2, 4)(image)",
    "nn.GroupNorm(num_groups=4, num_channels=4, eps=1e-6)(image)",
    weights=AFFINE,
)
for _dims, _input in (("1d", "signal"), ("2d", "image"), ("3d", "volume")):
    row(
        f"nn.InstanceNorm{_dims}(num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False)",
        "helper.InstanceNorm(num_features, eps=eps, affine=affine)",
        f"nn.InstanceNorm{_dims}(4)({_input})",
        f"nn.InstanceNorm{_dims}(4, affine=True)({_input})",
        note="nn.InstanceNorm2d has no CPU kernel: composed",
        ignored="momentum",
    )
row(
    "nn.LocalResponseNorm(size, alpha=1e-4, beta=0.75, k=1.0)",
    "helper.LocalResponseNorm(size, alpha=alpha, beta=beta, k=k)",
    "nn.LocalResponseNorm(5)(image)",
    "nn.LocalResponseNorm(3, alpha=1e-2, k=2)(image)",
    note="nn.LRN fails on CPU for some sizes: composed",
)
row("nn.RMSNorm(normalized_shape, eps=None)", "helper.RMSNorm(normalized_shape, eps=eps)", "nn.RMSNorm(4, eps=1e-6)(x)")

# Activations
row("nn.ReLU(inplace=False)", "nn.ReLU()", "nn.ReLU()(x)", forward("nn.ReLU(inplace=True)(x)"))
row("nn.ReLU6(inplace=False)", "nn.ReLU6()", "nn.ReLU6()(x)")
row(
    "nn.ELU(alpha=1.0, inplace=False)",
    "helper.ELU(alpha=alpha)",
    "nn.ELU()(x)",
    "nn.ELU(0.5)(x)",
    note="nn.ELU takes alpha=1.0 only: composed",
)
row("nn.SELU(inplace=False)", "helper.SELU()", "nn.SELU()(x)", note="the gradient of nn.SeLU is wrong on CPU: composed")
row("nn.CELU(alpha=1.0, inplace=False)", "nn.CELU(alpha=alpha)", "nn.CELU()(x)", "nn.CELU(0.5)(x)")
row(
    "nn.GELU(approximate='none')",
    "nn.GELU(approximate=approximate == 'tanh')",
    "nn.GELU()(x)",
    "nn.GELU(approximate='tanh')(x)",
    changed="approximate",
)
row(
    "nn.LeakyReLU(negative_slope=0.01, inplace=False)",
    "nn.LeakyReLU(alpha=negative_slope)",
    "nn.LeakyReLU()(x)",
    forward("nn.LeakyReLU(0.2, inplace=True)(x)"),
    changed="negative_slope",
)
row(
    "nn.PReLU(num_parameters=1, init=0.25)",
    "nn.PReLU(channel=num_parameters, w=init)",
    "nn.PReLU()(image)",
    "nn.PReLU(4)(image)",
    weights={"weight": "w"},
)
row(
    "nn.RReLU(lower=0.125, upper=0.3333333333333333, inplace=False)",
    "nn.RReLU(lower=lower, upper=upper)",
    forward("nn.RReLU(0.2, 0.2)(x)"),
    changed="lower upper",
)
row("nn.Sigmoid()", "nn.Sigmoid()", "nn.Sigmoid()(x)")
row("nn.Tanh()", "nn.Tanh()", Example("nn.Tanh()(x)", tolerance=1e-4))
row("nn.Softmax(dim=-1)", "nn.Softmax(axis=dim)", "nn.Softmax(dim=1)(x)", "nn.Softmax(-1)(x)")
row("nn.LogSoftmax(dim=-1)", "nn.LogSoftmax(axis=dim)", "nn.LogSoftmax(dim=1)(x)")
row("nn.Softmin(dim=-1)", "nn.Softmin(axis=dim)", "nn.Softmin(dim=1)(x)")
row("nn.Softmax2d()", "nn.Softmax2d()", "nn.Softmax2d()(image)")
row(
    "nn.Softplus(beta=1, threshold=20)",
    "helper.Softplus(beta=beta, threshold=threshold)",
    "nn.Softplus()(x)",
    "nn.Softplus(beta=2)(x)",
)
row("nn.Softsign()", "nn.Softsign()", "nn.Softsign()(x)")
row("nn.Softshrink(lambd=0.5)", "nn.SoftShrink(lambd=lambd)", "nn.Softshrink()(x)", "nn.Softshrink(0.3)(x)")
row("nn.Hardshrink(lambd=0.5)", "nn.HShrink(lambd=lambd)", "nn.Hardshrink()(x)", "nn.Hardshrink(0.3)(x)")
row("nn.Tanhshrink()", "nn.Tanhshrink()", "nn.Tanhshrink()(x)")
row(
    "nn.Hardtanh(min_val=-1.0, max_val=1.0, inplace=False)",
    "nn.Hardtanh(min_val=min_val, max_val=max_val)",
    "nn.Hardtanh()(x)",
    "nn.Hardtanh(-0.5, 0.5)(x)",
)
row("nn.Hardsigmoid(inplace=False)", "nn.HSigmoid()", "nn.Hardsigmoid()(x)")
row("nn.Hardswish(inplace=False)", "nn.HSwish()", "nn.Hardswish()(x)", forward("nn.Hardswish(inplace=True)(x)"))
row("nn.SiLU(inplace=False)", "nn.SiLU()", "nn.SiLU()(x)")
row("nn.Mish(inplace=False)", "nn.Mish()", "nn.Mish()(x)")
row("nn.LogSigmoid()", "nn.LogSigmoid()", "nn.LogSigmoid()(x)")
row("nn.Threshold(threshold, value, inplace=False)", "nn.Threshold(threshold, value)", "nn.Threshold(0.1, 0.5)(x)")
row("nn.GLU(dim=-1)", "nn.GLU(axis=dim)", "nn.GLU()(x)", "nn.GLU(1)(image)")

# Pools: MindSpore's stride is 1 unless given.
_POOL = (
    "kernel_size=kernel_size, stride=kernel_size if stride is None else stride, pad_mode='pad' "
    "if padding or {more} else ..., padding=padding"
)
_POOL_ARGUMENTS = "kernel_size, stride=None, padding=0"
for _dims, _input in (("1d", "signal"), ("2d", "image"), ("3d", "volume")):
    _ones = "dilation=dilation, return_indices=return_indices, ceil_mode=ceil_mode"
    row(
        f"nn.MaxPool{_dims}({_POOL_ARGUMENTS}, dilation=1, return_indices=False, ceil_mode=False)",
        f"nn.MaxPool{_dims}({_POOL.format(more='dilation != 1 or ceil_mode')}, {_ones})",
        f"nn.MaxPool{_dims}(2)({_input})",
        f"nn.MaxPool{_dims}(3, 2, padding=1)({_input})",
        f"nn.MaxPool{_dims}(kernel_size=3, stride=1, padding=1)({_input})",
        *([f"nn.MaxPool{_dims}(3, 2, ceil_mode=True)({_input})"] if _dims == "2d" else []),
        changed="stride",
        note="on Ascend, training runs MaxPoolWithArgmax: outputs may differ from PyTorch's, which does "
        "not change training",
    )
    row(
        f"nn.AvgPool{_dims}({_POOL_ARGUMENTS}, ceil_mode=False, count_include_pad=True)",
        f"nn.AvgPool{_dims}({_POOL.format(more='ceil_mode')}, ceil_mode=ceil_mode, "
        f"count_include_pad=count_include_pad)",
        f"nn.AvgPool{_dims}(2)({_input})",
        f"nn.AvgPool{_dims}(3, stride=2, padding=1)({_input})",
        *([f"nn.AvgPool{_dims}(3, 2, 1, count_include_pad=False)({_input})"] if _dims == "2d" else []),
        changed="stride",
    )
    for _kind in ("Avg", "Max"):
        row(
            f"nn.Adaptive{_kind}Pool{_dims}(output_size)",
            f"nn.Adaptive{_kind}Pool{_dims}(output_size)",
            f"nn.Adaptive{_kind}Pool{_dims}(1)({_input})",
            f"nn.Adaptive{_kind}Pool{_dims}(2)({_input})",
            *([f"nn.Adaptive{_kind}Pool{_dims}((1, 1))({_input})"] if _dims == "2d" else []),
        )
row(
    "nn.LPPool1d(norm_type, kernel_size, stride=None, ceil_mode=False)",
    "nn.LPPool1d(norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode)",
    "nn.LPPool1d(2, 2)(signal.abs())",
)
row(
    "nn.LPPool2d(norm_type, kernel_size, stride=None, ceil_mode=False)",
    "nn.LPPool2d(norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode)",
    "nn.LPPool2d(2, 2)(image.abs())",
)

# Dropout
row("nn.Dropout(p=0.5, inplace=False)", "nn.Dropout(..., p=p)", "nn.Dropout(0.0)(x)", changed="p")
row("nn.Dropout1d(p=0.5, inplace=False)", "nn.Dropout1d(p=p)", "nn.Dropout1d(0.0)(signal)")
row("nn.Dropout2d(p=0.5, inplace=False)", "nn.Dropout2d(p=p)", "nn.Dropout2d(0.0)(image)")
row("nn.Dropout3d(p=0.5, inplace=False)", "nn.Dropout3d(p=p)", "nn.Dropout3d(0.0)(volume)")

# Shape and resize
row("nn.PixelShuffle(upscale_factor)", "nn.PixelShuffle(upscale_factor)", "nn.PixelShuffle(2)(image)")
row("nn.PixelUnshuffle(downscale_factor)", "nn.PixelUnshuffle(downscale_factor)", "nn.PixelUnshuffle(2)(image)")
row("nn.ChannelShuffle(groups)", "nn.ChannelShuffle(groups)", forward("nn.ChannelShuffle(2)(image)"))
row(
    "nn.Upsample(size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None)",
    "helper.Upsample(size=size, scale_factor=scale_factor, mode=mode, align_corners=align_corners)",
    "nn.Upsample(scale_factor=2)(image)",
    "nn.Upsample(size=(12, 16), mode='nearest')(image)",
    "nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)(image)",
    "nn.Upsample(scale_factor=2, mode='bilinear')(image)",
    "nn.Upsample(size=(5, 5), mode='bilinear', align_corners=False)(image)",
    note="a factor that is not whole is turned into a size: coordinates follow the size",
)
row(
    "nn.UpsamplingNearest2d(size=None, scale_factor=None)",
    "helper.Upsample(size=size, scale_factor=scale_factor, mode='nearest')",
    "nn.UpsamplingNearest2d(scale_factor=2)(image)",
)
row(
    "nn.UpsamplingBilinear2d(size=None, scale_factor=None)",
    "helper.Upsample(size=size, scale_factor=scale_factor, mode='bilinear', align_corners=True)",
    "nn.UpsamplingBilinear2d(scale_factor=2)(image)",
)
for _dims, _input, _pad in (
    ("1d", "signal", "(1, 2)"),
    ("2d", "image", "(1, 2, 2, 1)"),
    ("3d", "volume", "(1, 2, 2, 1, 1, 1)"),
):
    row(
        f"nn.ConstantPad{_dims}(padding, value)",
        f"nn.ConstantPad{_dims}(padding, value)",
        f"nn.ConstantPad{_dims}({_pad}, 0.5)({_input})",
    )
    row(
        f"nn.ReflectionPad{_dims}(padding)",
        f"nn.ReflectionPad{_dims}(padding)",
        f"nn.ReflectionPad{_dims}(1)({_input})",
        f"nn.ReflectionPad{_dims}({_pad})({_input})",
    )
    row(
        f"nn.ReplicationPad{_dims}(padding)",
        f"nn.ReplicationPad{_dims}(padding)",
        f"nn.ReplicationPad{_dims}(1)({_input})",
    )
row("nn.ZeroPad2d(padding)", "nn.ZeroPad2d(padding)", "nn.ZeroPad2d(1)(image)", "nn.ZeroPad2d((1, 0, 2, 1))(image)")
row("nn.ZeroPad1d(padding)", "nn.ConstantPad1d(padding, 0.0)", "nn.ZeroPad1d(1)(signal)")
row("nn.ZeroPad3d(padding)", "nn.ConstantPad3d(padding, 0.0)", "nn.ZeroPad3d(1)(volume)")
row(
    "nn.Unfold(kernel_size, dilation=1, padding=0, stride=1)",
    "helper.Unfold(kernel_size, dilation=dilation, padding=padding, stride=stride)",
    "nn.Unfold(3)(image)",
    "nn.Unfold(3, padding=1, stride=2)(image)",
)
row(
    "nn.Fold(output_size, kernel_size, dilation=1, padding=0, stride=1)",
    "helper.Fold(output_size, kernel_size, dilation=dilation, padding=padding, stride=stride)",
    "nn.Fold((8, 8), 2, stride=2)(image.reshape(2, 16, 16))",
)

# Distances
row(
    "nn.CosineSimilarity(dim=1, eps=1e-8)",
    "helper.CosineSimilarity(dim=dim, eps=eps)",
    "nn.CosineSimilarity()(rows, rows2)",
    "nn.CosineSimilarity(dim=-1)(x, y)",
)
row(
    "nn.PairwiseDistance(p=2.0, eps=1e-6, keepdim=False)",
    "helper.PairwiseDistance(p=p, eps=eps, keepdim=keepdim)",
    "nn.PairwiseDistance()(rows, rows2)",
    "nn.PairwiseDistance(keepdim=True)(rows, rows2)",
)

# Recurrent layers and attention
_RECURRENT = (
    "input_size, hidden_size, num_layers=1, {extra}bias=True, batch_first=False, dropout=0.0, bidirectional=False"
)
_CELL = (
    "input_size=input_size, hidden_size=hidden_size, num_layers=num_layers, "
    "{extra}has_bias=bias, batch_first=batch_first, dropout=dropout, "
    "bidirectional=bidirectional"
)
for _name in ("LSTM", "GRU"):
    row(
        f"nn.{_name}({_RECURRENT.format(extra='')})",
        f"nn.{_name}({_CELL.format(extra='')})",
        f"nn.{_name}(4, 5)(sequence)",
        f"nn.{_name}(4, 5, num_layers=2, batch_first=True)(x)",
        f"nn.{_name}(input_size=4, hidden_size=3, bidirectional=True, batch_first=True)(x)",
        gives="module tensors",
    )
row(
    f"nn.RNN({_RECURRENT.format(extra='nonlinearity=' + repr('tanh') + ', ')})",
    f"nn.RNN({_CELL.format(extra='nonlinearity=nonlinearity, ')})",
    "nn.RNN(4, 5)(sequence)",
    "nn.RNN(4, 5, nonlinearity='relu', batch_first=True)(x)",
    gives="module tensors",
)
row(
    "nn.LSTMCell(input_size, hidden_size, bias=True)",
    "nn.LSTMCell(input_size=input_size, hidden_size=hidden_size, has_bias=bias)",
    "nn.LSTMCell(4, 3)(rows, (torch.zeros(5, 3), torch.zeros(5, 3)))",
    gives="module tensors",
    note="the state must be given",
)
row(
    "nn.GRUCell(input_size, hidden_size, bias=True)",
    "nn.GRUCell(input_size=input_size, hidden_size=hidden_size, has_bias=bias)",
    "nn.GRUCell(4, 3)(rows, torch.zeros(5, 3))",
    note="the state must be given",
)
row(
    "nn.RNNCell(input_size, hidden_size, bias=True, nonlinearity='tanh')",
    "nn.RNNCell(input_size=input_size, hidden_size=hidden_size, has_bias=bias, nonlinearity=nonlinearity)",
    "nn.RNNCell(4, 3)(rows, torch.zeros(5, 3))",
    note="the state must be given",
)
row(
    "nn.MultiheadAttention(embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, "
    "add_zero_attn=False, kdim=None, vdim=None, batch_first=False)",
    "nn.MultiheadAttention(embed_dim=embed_dim, num_heads=num_heads, dropout=dropout, "
    "has_bias=bias, add_bias_kv=add_bias_kv, add_zero_attn=add_zero_attn, kdim=kdim, "
    "vdim=vdim, batch_first=batch_first)",
    "nn.MultiheadAttention(4, 2)(sequence, sequence, sequence)",
    "nn.MultiheadAttention(embed_dim=4, num_heads=2, batch_first=True)(x, y, y)",
    gives="module tensors",
)
_UNSURE = "its nn.LayerNorm: the gradient corrupts memory on CPU now and then (MindSpore 2.8); forward is compared"
_LAYER = (
    "d_model, nhead, dim_feedforward=2048, dropout=0.1, activation='relu', "
    "layer_norm_eps=1e-5, batch_first=False, norm_first=False"
)
_LAYER_CELL = (
    "d_model, nhead, dim_feedforward=dim_feedforward, dropout=dropout, activation=activation, "
    "layer_norm_eps=layer_norm_eps, batch_first=batch_first, norm_first=norm_first"
)
row(
    f"nn.TransformerEncoderLayer({_LAYER})",
    f"nn.TransformerEncoderLayer({_LAYER_CELL})",
    forward("nn.TransformerEncoderLayer(4, 2, 8, 0.0)(sequence)"),
    forward(
        "nn.TransformerEncoderLayer(d_model=4, nhead=2, dim_feedforward=8, dropout=0.0, "
        "batch_first=True, norm_first=True)(x)"
    ),
    weights=LINEAR,
    note=_UNSURE,
)
row(
    f"nn.TransformerDecoderLayer({_LAYER})",
    f"nn.TransformerDecoderLayer({_LAYER_CELL})",
    forward("nn.TransformerDecoderLayer(4, 2, 8, 0.0)(sequence, sequence)"),
    weights=LINEAR,
    note=_UNSURE,
)
row(
    "nn.TransformerEncoder(encoder_layer, num_layers, norm=None, enable_nested_tensor=True)",
    "nn.TransformerEncoder(encoder_layer, num_layers, norm=norm)",
    forward("nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0), 2)(sequence)"),
    ignored="enable_nested_tensor",
)
row(
    "nn.TransformerDecoder(decoder_layer, num_layers, norm=None)",
    "nn.TransformerDecoder(decoder_layer, num_layers, norm=norm)",
    forward("nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, 0.0), 2)(sequence, sequence)"),
)
row(
    "nn.Transformer(d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, "
    "dim_feedforward=2048, dropout=0.1, activation='relu', layer_norm_eps=1e-5, "
    "batch_first=False, norm_first=False)",
    "nn.Transformer(d_model=d_model, nhead=nhead, num_encoder_layers=num_encoder_layers, "
    "num_decoder_layers=num_decoder_layers, dim_feedforward=dim_feedforward, dropout=dropout, "
    "activation=activation, layer_norm_eps=layer_norm_eps, batch_first=batch_first, "
    "norm_first=norm_first)",
    forward("nn.Transformer(4, 2, 1, 1, 8, 0.0)(sequence, sequence)"),
)
