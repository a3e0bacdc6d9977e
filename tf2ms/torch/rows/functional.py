"""torch.nn.functional, without the losses."""

from __future__ import annotations

from tf2ms.torch.table import forward, row

# The same arguments under another name.
row("F.relu6", "ops.relu6", "F.relu6(x)")
row("F.celu", "ops.celu", "F.celu(x)", "F.celu(x, 0.5)")
row("F.prelu", "mint.nn.functional.prelu", "F.prelu(signal, v)")
row("F.gelu", "ops.gelu", "F.gelu(x)", "F.gelu(x, approximate='tanh')")
row("F.logsigmoid", "ops.logsigmoid", "F.logsigmoid(x)")
row("F.hardshrink", "mint.nn.functional.hardshrink", "F.hardshrink(x)", "F.hardshrink(x, 0.3)")
row("F.tanhshrink", "ops.tanhshrink", "F.tanhshrink(x)")
row("F.softsign", "ops.softsign", "F.softsign(x)")
row("F.softplus", "ops.softplus", "F.softplus(x)", "F.softplus(x, beta=2)")
row("F.softshrink", "mint.nn.functional.softshrink", "F.softshrink(x)", "F.softshrink(x, 0.3)")
row("F.gumbel_softmax", "ops.gumbel_softmax", "F.gumbel_softmax(x, dim=1).sum(1)")
row("F.tanh", "mint.tanh", "F.tanh(x)")
row("F.sigmoid", "mint.sigmoid", "F.sigmoid(x)")
row("F.hardsigmoid", "mint.nn.functional.hardsigmoid", "F.hardsigmoid(x)")
row("F.hardswish", "mint.nn.functional.hardswish", "F.hardswish(x)")
row("F.hardtanh", "ops.hardtanh", "F.hardtanh(x)", "F.hardtanh(x, -0.5, 0.5)")
row("F.silu", "mint.nn.functional.silu", "F.silu(x)")
row("F.mish", "ops.mish", "F.mish(x)")
row("F.threshold", "ops.threshold", "F.threshold(x, 0.1, 0.5)")
row("F.linear", "mint.nn.functional.linear", "F.linear(rows, matrix)", "F.linear(rows, matrix, six)")
row("F.dropout1d", "ops.dropout1d", "F.dropout1d(signal, 0.0)")
row("F.dropout2d", "ops.dropout2d", "F.dropout2d(image, 0.0)")
row("F.dropout3d", "ops.dropout3d", "F.dropout3d(volume, 0.0)")
row(
    "F.cosine_similarity",
    "ops.cosine_similarity",
    "F.cosine_similarity(x, y, dim=1)",
    "F.cosine_similarity(rows, rows2)",
)
row("F.max_pool3d", "ops.max_pool3d", "F.max_pool3d(volume, 2)")
row("F.lp_pool1d", "ops.lp_pool1d", "F.lp_pool1d(signal.abs(), 2, 2)")
row("F.lp_pool2d", "ops.lp_pool2d", "F.lp_pool2d(image.abs(), 2, 2)")
row("F.adaptive_avg_pool1d", "ops.adaptive_avg_pool1d", "F.adaptive_avg_pool1d(signal, 5)")
row(
    "F.adaptive_avg_pool2d",
    "ops.adaptive_avg_pool2d",
    "F.adaptive_avg_pool2d(image, 1)",
    "F.adaptive_avg_pool2d(image, (4, 2))",
    "F.adaptive_avg_pool2d(image, (1, 1))",
)
row("F.adaptive_avg_pool3d", "ops.adaptive_avg_pool3d", "F.adaptive_avg_pool3d(volume, 2)")
row("F.adaptive_max_pool1d", "ops.adaptive_max_pool1d", "F.adaptive_max_pool1d(signal, 5)")
row(
    "F.adaptive_max_pool2d",
    "mint.nn.functional.adaptive_max_pool2d",
    "F.adaptive_max_pool2d(image, 4)",
    "F.adaptive_max_pool2d(image, (1, 1))",
)
row("F.adaptive_max_pool3d", "ops.adaptive_max_pool3d", "F.adaptive_max_pool3d(volume, 2)")
row("F.fractional_max_pool2d", "ops.fractional_max_pool2d", forward("F.fractional_max_pool2d(image, 2, output_size=4)"))
row("F.group_norm", "mint.nn.functional.group_norm", "F.group_norm(image, 2)", "F.group_norm(image, 2, v, w)")
row("F.pixel_shuffle", "mint.nn.functional.pixel_shuffle", "F.pixel_shuffle(image, 2)")
row("F.pixel_unshuffle", "ops.pixel_unshuffle", "F.pixel_unshuffle(image, 2)")
row("F.channel_shuffle", "ops.channel_shuffle", forward("F.channel_shuffle(image, 2)"))
row(
    "F.pad",
    "ops.pad",
    "F.pad(image, (1, 2, 0, 1))",
    "F.pad(image, [1, 1], 'constant', 0.5)",
    "F.pad(image, (1, 2, 2, 1), mode='reflect')",
    "F.pad(image, (1, 2, 2, 1), mode='replicate')",
    "F.pad(image, (1, 1, 1, 1), value=2.0)",
)
row("F.unfold", "ops.unfold", "F.unfold(image, 3)", "F.unfold(image, kernel_size=3, padding=1, stride=2)")

# Composed, or with other argument names, because mint's form has no CPU kernel or differs there.
row("F.relu(input, inplace=False)", "mint.nn.functional.relu(input)", "F.relu(x)", forward("F.relu(x, inplace=True)"))
row("F.relu_(input)", "mint.nn.functional.relu(input)", forward("F.relu_(x)"))
row("F.elu(input, alpha=1.0, inplace=False)", "helper.elu(input, alpha=alpha)", "F.elu(x)", "F.elu(x, alpha=0.5)")
row(
    "F.selu(input, inplace=False)",
    "helper.selu(input)",
    "F.selu(x)",
    note="the gradient of ops.selu is wrong on CPU: composed",
)
row(
    "F.leaky_relu(input, negative_slope=0.01, inplace=False)",
    "ops.leaky_relu(input, alpha=negative_slope)",
    "F.leaky_relu(x)",
    "F.leaky_relu(x, 0.2)",
    "F.leaky_relu(x, negative_slope=0.1)",
    changed="negative_slope",
)
row(
    "F.rrelu(input, lower=0.125, upper=0.3333333333333333, training=False, inplace=False)",
    "ops.leaky_relu(input, alpha=(lower + upper) / 2)",
    "F.rrelu(x, 0.2, 0.2)",
    changed="lower upper",
)
row("F.glu(input, dim=-1)", "ops.glu(input, axis=dim)", "F.glu(x)", "F.glu(x, dim=-1)")
row("F.softmin(input, dim, dtype=None)", "ops.softmax(-input, axis=dim)", "F.softmin(x, dim=1)")
row(
    "F.softmax(input, dim, dtype=None)",
    "ops.softmax(input, axis=dim, dtype=dtype)",
    "F.softmax(x, dim=1)",
    "F.softmax(x, -1)",
    "F.softmax(x, dim=-1, dtype=torch.float32)",
)
row(
    "F.log_softmax(input, dim, dtype=None)",
    "ops.log_softmax(input, axis=dim)",
    "F.log_softmax(x, dim=1)",
    "F.log_softmax(x, 1)",
)
row(
    "F.normalize(input, p=2.0, dim=1, eps=1e-12)",
    "helper.normalize(input, p=p, dim=dim, eps=eps)",
    "F.normalize(x, dim=1)",
    "F.normalize(x, p=2, dim=-1)",
    "F.normalize(x)",
)
row("F.embedding(input, weight, padding_idx=None)", "ops.gather(weight, input, 0)", "F.embedding(ids, matrix)")
row(
    "F.one_hot(tensor, num_classes)",
    "mint.eq(tensor.unsqueeze(-1), ops.arange(num_classes)).long()",
    "F.one_hot(classes, 4)",
    "F.one_hot(classes, num_classes=6)",
)
row(
    "F.pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False)",
    "helper.pairwise_distance(x1, x2, p=p, eps=eps, keepdim=keepdim)",
    "F.pairwise_distance(rows, rows2)",
)
row(
    "F.conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)",
    "ops.conv1d(input, weight, bias=bias, stride=stride, pad_mode='pad' if padding else ..., "
    "padding=padding, dilation=dilation, groups=groups)",
    "F.conv1d(signal, kernel1)",
    "F.conv1d(signal, kernel1, six, stride=2, padding=1)",
)
row(
    "F.conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)",
    "ops.conv2d(input, weight, bias=bias, stride=stride, pad_mode='pad' if padding else ..., "
    "padding=padding, dilation=dilation, groups=groups)",
    "F.conv2d(image, kernel)",
    "F.conv2d(image, kernel, six, stride=2, padding=1)",
    "F.conv2d(image, kernel, None, 1, 2, dilation=2)",
)
row(
    "F.conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)",
    "ops.conv3d(input, weight, bias=bias, stride=stride, pad_mode='pad' if padding else ..., "
    "padding=padding, dilation=dilation, groups=groups)",
    "F.conv3d(volume, kernel3)",
    "F.conv3d(volume, kernel3, six, padding=1)",
)
row(
    "F.conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
    "helper.conv_transpose2d(input, weight, bias=bias, stride=stride, padding=padding, "
    "output_padding=output_padding, groups=groups, dilation=dilation)",
    "F.conv_transpose2d(image, kernelt)",
    "F.conv_transpose2d(image, kernelt, six, stride=2, padding=1)",
)
row(
    "F.max_pool1d(input, kernel_size, stride=None, padding=0)",
    "helper.max_pool1d(input, kernel_size, stride=stride, padding=padding)",
    "F.max_pool1d(signal, 2)",
    "F.max_pool1d(signal, 3, stride=2, padding=1)",
)
row(
    "F.max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
    "ops.max_pool2d(input, kernel_size, stride=stride, padding=padding, dilation=dilation, "
    "return_indices=return_indices, ceil_mode=ceil_mode)",
    "F.max_pool2d(image, 2)",
    "F.max_pool2d(image, 3, stride=2, padding=1)",
    "F.max_pool2d(image, kernel_size=2, stride=1)",
    "F.max_pool2d(image, (2, 2))",
)
row(
    "F.avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
    "helper.avg_pool1d(input, kernel_size, stride=stride, padding=padding, "
    "ceil_mode=ceil_mode, count_include_pad=count_include_pad)",
    "F.avg_pool1d(signal, 2)",
    "F.avg_pool1d(signal, 3, stride=2, padding=1)",
)
row(
    "F.avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
    "ops.avg_pool2d(input, kernel_size, stride=kernel_size if stride is None else stride, "
    "padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad)",
    "F.avg_pool2d(image, 2)",
    "F.avg_pool2d(image, 3, stride=2, padding=1)",
    "F.avg_pool2d(image, 4)",
    changed="stride",
)
row(
    "F.avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
    "ops.avg_pool3d(input, kernel_size, stride=kernel_size if stride is None else stride, "
    "padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad)",
    "F.avg_pool3d(volume, 2)",
    changed="stride",
)
row(
    "F.batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5)",
    "ops.batch_norm(input, running_mean, running_var, weight, bias, training=training, momentum=momentum, eps=eps)",
    forward("F.batch_norm(image, torch.zeros(4), torch.ones(4), v, w)"),
)
row(
    "F.instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, "
    "use_input_stats=True, momentum=0.1, eps=1e-5)",
    "helper.instance_norm(input, eps=eps)",
    "F.instance_norm(image)",
)
row(
    "F.layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5)",
    "helper.layer_norm(input, normalized_shape, weight=weight, bias=bias, eps=eps)",
    "F.layer_norm(x, (4,))",
    "F.layer_norm(x, (4,), v, w)",
    "F.layer_norm(x, (4,), v, w, 1e-6)",
    "F.layer_norm(x, [3, 4])",
)
row(
    "F.local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0)",
    "helper.local_response_norm(input, size, alpha=alpha, beta=beta, k=k)",
    "F.local_response_norm(image, 3)",
)
row(
    "F.interpolate(input, size=None, scale_factor=None, mode='nearest', align_corners=None, "
    "recompute_scale_factor=None, antialias=False)",
    "helper.interpolate(input, size=size, scale_factor=scale_factor, mode=mode, align_corners=align_corners)",
    "F.interpolate(image, scale_factor=2)",
    "F.interpolate(image, size=(16, 12), mode='bilinear', align_corners=False)",
    "F.interpolate(image, scale_factor=2, mode='bilinear', align_corners=True)",
    "F.interpolate(image, size=(5, 5), mode='nearest')",
    "F.interpolate(image, size=image.shape[2:], mode='bilinear')",
    note="a factor that is not whole is turned into a size: coordinates follow the size",
)
row(
    "F.upsample(input, size=None, scale_factor=None, mode='nearest', align_corners=None)",
    "helper.interpolate(input, size=size, scale_factor=scale_factor, mode=mode, align_corners=align_corners)",
    forward("F.upsample(image, scale_factor=2)"),
    forward("F.upsample(image, size=(16, 16), mode='bilinear', align_corners=True)"),
)
row(
    "F.dropout(input, p=0.5, training=True, inplace=False)",
    "ops.dropout(input, p=p, training=training)",
    "F.dropout(x, 0.0)",
    "F.dropout(x, p=0.5, training=False)",
)
row(
    "F.fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1)",
    "helper.fold(input, output_size, kernel_size, dilation=dilation, padding=padding, stride=stride)",
    "F.fold(F.unfold(image, 2, stride=2), (8, 8), 2, stride=2)",
)
row(
    "F.grid_sample(input, grid, mode='bilinear', padding_mode='zeros', align_corners=False)",
    "ops.grid_sample(input, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners)",
    "F.grid_sample(image, torch.tanh(small[:, :2].permute(0, 2, 3, 1)[..., :2]), align_corners=False)",
    "F.grid_sample(image, torch.tanh(small[:, :2].permute(0, 2, 3, 1)[..., :2]), align_corners=True)",
)
row(
    "F.affine_grid(theta, size, align_corners=False)",
    "ops.affine_grid(theta, size, align_corners=align_corners)",
    "F.affine_grid(torch.reshape(x[:, :, :3], (2, 3, 3))[:, :2], (2, 4, 8, 8), align_corners=False)",
)
row(
    "F.scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None)",
    "helper.scaled_dot_product_attention(query, key, value, attn_mask=attn_mask, "
    "dropout_p=dropout_p, is_causal=is_causal, scale=scale)",
    "F.scaled_dot_product_attention(image, image, image)",
    "F.scaled_dot_product_attention(image, image, image, attn_mask=torch.ones(8, 8).tril() > 0)",
    "F.scaled_dot_product_attention(image, image, image, is_causal=True)",
)
