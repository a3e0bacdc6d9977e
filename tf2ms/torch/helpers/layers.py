"""Layers, functions and losses.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import mindspore as ms
from mindspore import mint, nn, ops
from mindspore import numpy as mnp


class PaddedEmbedding(nn.Embedding):
    """PyTorch's Embedding with a padding_idx, whose row has no gradient."""

    def construct(self, ids):
        """The rows."""
        rows = super().construct(ids)
        return mint.where((ids == self.padding_idx).unsqueeze(-1), ops.stop_gradient(rows), rows)


class SELU(nn.Cell):
    """PyTorch's SELU."""

    def construct(self, x):
        """The activation."""
        return selu(x)


def selu(x):
    """PyTorch's selu."""
    return 1.0507009873554805 * (mint.nn.functional.relu(x) + 1.6732632423543772 * mint.expm1(mint.clamp(x, max=0.0)))


def searchsorted(sorted_sequence, input, right=False):
    """PyTorch's searchsorted; MindSpore's keeps the `right` of its first call on CPU."""
    rows = sorted_sequence if sorted_sequence.ndim == 1 else sorted_sequence.unsqueeze(-2)
    before = rows <= input.unsqueeze(-1) if right else rows < input.unsqueeze(-1)
    return before.astype(ms.int64).sum(-1)


class ELU(nn.Cell):
    """PyTorch's ELU, with any alpha."""

    def __init__(self, alpha=1.0):
        super().__init__()
        self.alpha = alpha

    def construct(self, x):
        """The activation."""
        return elu(x, self.alpha)


def elu(x, alpha=1.0):
    """PyTorch's elu, with any alpha."""
    return mint.nn.functional.relu(x) + alpha * mint.expm1(mint.clamp(x, max=0.0))


class Softplus(nn.Cell):
    """PyTorch's Softplus."""

    def __init__(self, beta=1, threshold=20):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def construct(self, x):
        """The activation."""
        return ops.softplus(x, self.beta, self.threshold)


class InstanceNorm(nn.Cell):
    """PyTorch's instance normalisation, without running statistics."""

    def __init__(self, num_features, eps=1e-5, affine=False):
        super().__init__()
        self.eps, self.affine = eps, affine
        if affine:
            self.weight = ms.Parameter(ops.ones(num_features))
            self.bias = ms.Parameter(ops.zeros(num_features))

    def construct(self, x):
        """Normalises each channel of each sample."""
        out = instance_norm(x, eps=self.eps)
        if self.affine:
            shape = (1, -1) + (1,) * (x.ndim - 2)
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out


def instance_norm(x, eps=1e-5):
    """PyTorch's instance_norm."""
    axes = tuple(range(2, x.ndim))
    centred = x - x.mean(axis=axes, keep_dims=True)
    return centred * mint.rsqrt(centred.square().mean(axis=axes, keep_dims=True) + eps)


class LocalResponseNorm(nn.Cell):
    """PyTorch's local response normalisation."""

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def construct(self, x):
        """Normalises over neighbouring channels."""
        return local_response_norm(x, self.size, self.alpha, self.beta, self.k)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """PyTorch's local_response_norm: a mean over `size` channels."""
    channels = x.shape[1]
    before, after = size // 2, (size - 1) // 2
    rest = x.shape[2:]
    square = x.square()
    padded = mint.cat(
        (ops.zeros((x.shape[0], before, *rest), x.dtype), square, ops.zeros((x.shape[0], after, *rest), x.dtype)), dim=1
    )
    total = sum(padded[:, i : i + channels] for i in range(size))
    return x / (k + alpha / size * total) ** beta


class RMSNorm(nn.Cell):
    """PyTorch's RMSNorm."""

    def __init__(self, normalized_shape, eps=None):
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.weight = ms.Parameter(ops.ones(shape))
        self.axes = tuple(range(-len(shape), 0))
        self.eps = 1.1920928955078125e-07 if eps is None else eps

    def construct(self, x):
        """Divides by the root of the mean square."""
        return x * mint.rsqrt(x.square().mean(axis=self.axes, keep_dims=True) + self.eps) * self.weight


class Upsample(nn.Cell):
    """PyTorch's Upsample."""

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None):
        super().__init__()
        self.size, self.scale_factor, self.mode, self.align_corners = size, scale_factor, mode, align_corners

    def construct(self, x):
        """Resizes the last axes."""
        return interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners)


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """PyTorch's interpolate: sizes instead of factors, which MindSpore's form takes on every device."""
    axes = x.ndim - 2
    if size is None:
        factors = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * axes
        size = tuple(int(x.shape[i + 2] * factor) for i, factor in enumerate(factors))
    elif isinstance(size, int):
        size = (size,) * axes
    if mode in ("nearest", "area"):
        return ops.interpolate(x, size=tuple(size), mode=mode)
    return ops.interpolate(x, size=tuple(size), mode=mode, align_corners=bool(align_corners))


class CosineSimilarity(nn.Cell):
    """PyTorch's CosineSimilarity."""

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def construct(self, a, b):
        """The cosine of the angle."""
        return ops.cosine_similarity(a, b, dim=self.dim, eps=self.eps)


class PairwiseDistance(nn.Cell):
    """PyTorch's PairwiseDistance."""

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def construct(self, a, b):
        """The norm of the difference."""
        return pairwise_distance(a, b, self.p, self.eps, self.keepdim)


def pairwise_distance(a, b, p=2.0, eps=1e-6, keepdim=False):
    """PyTorch's pairwise_distance."""
    return ((a - b + eps).abs() ** p).sum(-1, keepdims=keepdim) ** (1 / p)


def normalize(x, p=2.0, dim=1, eps=1e-12):
    """PyTorch's normalize."""
    norm = ops.norm(x, ord=p, dim=dim, keepdim=True)
    return x / mint.clamp(norm, min=eps)


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None):
    """PyTorch's scaled_dot_product_attention."""
    scores = mint.matmul(query, key.swapaxes(-2, -1)) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = mnp.tril(ops.ones(scores.shape[-2:], ms.float32)) > 0
    if attn_mask is not None and attn_mask.dtype == ms.bool_:
        scores = scores.masked_fill(attn_mask.logical_not(), float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = ops.softmax(scores, axis=-1)
    if dropout_p > 0:
        weights = ops.dropout(weights, p=dropout_p)
    return mint.matmul(weights, value)


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """PyTorch's layer_norm."""
    axes = tuple(range(-len(normalized_shape), 0))
    centred = x - x.mean(axis=axes, keep_dims=True)
    out = centred * mint.rsqrt(centred.square().mean(axis=axes, keep_dims=True) + eps)
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias


def median(x, dim=None, keepdim=False):
    """PyTorch's median: the lower of the two in the middle."""
    if dim is None:
        return ops.sort(x.reshape(-1))[0][(x.size - 1) // 2]
    return kthvalue(x, (x.shape[dim] + 1) // 2, dim, keepdim)


def kthvalue(x, k, dim=-1, keepdim=False):
    """PyTorch's kthvalue: the k-th smallest value, and where it is."""
    values, places = ops.sort(x, axis=dim)
    at = ms.Tensor([k - 1])
    values, places = ops.gather(values, at, dim), ops.gather(places, at, dim)
    return (values, places) if keepdim else (values.squeeze(dim), places.squeeze(dim))


def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """PyTorch's poisson_nll_loss, without the Stirling term."""
    loss = mint.exp(input) - target * input if log_input else input - target * mint.log(input + eps)
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def avg_pool1d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """PyTorch's avg_pool1d, as a pool of height 1."""
    stride = kernel_size if stride is None else stride
    out = ops.avg_pool2d(
        x.unsqueeze(2), (1, kernel_size), (1, stride), (0, 0, padding, padding), ceil_mode, count_include_pad
    )
    return out.squeeze(2)


def max_pool1d(x, kernel_size, stride=None, padding=0):
    """PyTorch's max_pool1d, as a pool of height 1."""
    stride = kernel_size if stride is None else stride
    return ops.max_pool2d(x.unsqueeze(2), (1, kernel_size), (1, stride), (0, padding)).squeeze(2)


def conv_transpose2d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """PyTorch's conv_transpose2d, through the gradient of a convolution."""
    pair = [(v, v) if isinstance(v, int) else tuple(v) for v in (stride, padding, output_padding, dilation)]
    stride, padding, output_padding, dilation = pair
    size = [
        (x.shape[i + 2] - 1) * stride[i]
        - 2 * padding[i]
        + dilation[i] * (weight.shape[i + 2] - 1)
        + output_padding[i]
        + 1
        for i in (0, 1)
    ]
    channels = weight.shape[1] * groups
    transposed = ops.Conv2DTranspose(
        weight.shape[0],
        tuple(weight.shape[2:]),
        pad_mode="pad",
        pad=(padding[0], padding[0], padding[1], padding[1]),
        stride=stride,
        dilation=dilation,
        group=groups,
    )
    out = transposed(x, weight, (x.shape[0], channels, *size))
    return out if bias is None else out + bias.view(1, -1, 1, 1)


class ConvTranspose2d(nn.Cell):
    """PyTorch's ConvTranspose2d, with output_padding."""

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
    ):
        super().__init__()
        size = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        bound = (out_channels // groups * size[0] * size[1]) ** -0.5
        self.weight = ms.Parameter(ops.rand(in_channels, out_channels // groups, *size) * 2 * bound - bound)
        self.bias = ms.Parameter(ops.rand(out_channels) * 2 * bound - bound) if bias else None
        self.arguments = (stride, padding, output_padding, groups, dilation)

    def construct(self, x):
        """The transposed convolution."""
        return conv_transpose2d(x, self.weight, self.bias, *self.arguments)


def quantile(x, q, dim=None, keepdim=False):
    """PyTorch's quantile, with linear interpolation, for one q."""
    x, axis = (x.reshape(-1), 0) if dim is None else (x, dim)
    values = ops.sort(x, axis=axis)[0]
    place = q * (x.shape[axis] - 1)
    low, high = int(place), min(int(place) + 1, x.shape[axis] - 1)
    low_value, high_value = ops.gather(values, ms.Tensor([low]), axis), ops.gather(values, ms.Tensor([high]), axis)
    out = low_value + (high_value - low_value) * (place - low)
    return out if keepdim else out.squeeze(axis)


def unflatten(x, dim, sizes):
    """PyTorch's unflatten."""
    dim = dim % x.ndim
    return x.reshape(x.shape[:dim] + tuple(sizes) + x.shape[dim + 1 :])


def unique(x, return_inverse=False):
    """PyTorch's unique: sorted, the inverse in the shape of the input."""
    if not return_inverse:
        return mnp.unique(x)
    values, inverse = mnp.unique(x, return_inverse=True)
    return values, inverse.reshape(x.shape)


class Unfold(nn.Cell):
    """PyTorch's Unfold."""

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.arguments = (kernel_size, dilation, padding, stride)

    def construct(self, x):
        """The patches as columns."""
        return ops.unfold(x, *self.arguments)


class Fold(nn.Cell):
    """PyTorch's Fold."""

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.arguments = (output_size, kernel_size, dilation, padding, stride)

    def construct(self, x):
        """The columns summed into an image."""
        return fold(x, *self.arguments)


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """PyTorch's fold."""
    size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
    return ops.fold(x, ms.Tensor(size, ms.int32), kernel_size, dilation, padding, stride)


def reduced(loss, reduction):
    """The mean or the sum of a loss, or the loss itself."""
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


class KLDivLoss(nn.Cell):
    """PyTorch's KLDivLoss."""

    def __init__(self, reduction="mean", log_target=False):
        super().__init__()
        self.reduction, self.log_target = reduction, log_target

    def construct(self, input, target):
        """The divergence."""
        return kl_div(input, target, self.reduction, self.log_target)


def kl_div(input, target, reduction="mean", log_target=False):
    """PyTorch's kl_div."""
    loss = mint.exp(target) * (target - input) if log_target else mint.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.shape[0]
    return reduced(loss, reduction)


class HingeEmbeddingLoss(nn.Cell):
    """PyTorch's HingeEmbeddingLoss."""

    def __init__(self, margin=1.0, reduction="mean"):
        super().__init__()
        self.margin, self.reduction = margin, reduction

    def construct(self, input, target):
        """The loss."""
        return hinge_embedding_loss(input, target, self.margin, self.reduction)


def hinge_embedding_loss(input, target, margin=1.0, reduction="mean"):
    """PyTorch's hinge_embedding_loss."""
    far = mint.clamp(margin - input, min=0.0)
    zero = ops.zeros_like(input)
    return reduced(mint.where(target == 1, zero, far) + mint.where(target == -1, zero, input), reduction)


class TripletMarginLoss(nn.Cell):
    """PyTorch's TripletMarginLoss."""

    def __init__(self, margin=1.0, p=2.0, eps=1e-6):
        super().__init__()
        self.arguments = (margin, p, eps)

    def construct(self, anchor, positive, negative):
        """The loss."""
        return triplet_margin_loss(anchor, positive, negative, *self.arguments)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6):
    """PyTorch's triplet_margin_loss."""
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    return mint.clamp(near - far + margin, min=0.0).mean()


class SoftMarginLoss(nn.Cell):
    """PyTorch's SoftMarginLoss."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def construct(self, input, target):
        """The loss."""
        return reduced(mint.log1p(mint.exp(-target * input)), self.reduction)


class LayerNorm(nn.Cell):
    """PyTorch's LayerNorm, over one or more of the last axes."""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps = shape, eps
        self.gamma = ms.Parameter(ops.ones(shape)) if elementwise_affine else None
        self.beta = ms.Parameter(ops.zeros(shape)) if elementwise_affine else None

    def construct(self, x):
        """Normalises each sample."""
        return layer_norm(x, self.normalized_shape, self.gamma, self.beta, self.eps)
