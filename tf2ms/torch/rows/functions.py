"""Functions of torch, torch.linalg and torch.special."""

from __future__ import annotations

import libcst as cst

from tf2ms.torch.calls import Call
from tf2ms.torch.table import Example, both, forward, row, rule

# The same arguments under another name.
row("torch.abs", "mint.abs", "torch.abs(x)")
row("torch.absolute", "ops.absolute", "torch.absolute(x)")
row("torch.acos", "ops.acos", "torch.acos(u)")
row("torch.arccos", "ops.arccos", "torch.arccos(u)")
row("torch.acosh", "ops.acosh", "torch.acosh(p + 1)")
row("torch.arccosh", "ops.arccosh", "torch.arccosh(p + 1)")
row("torch.add", "mint.add", "torch.add(x, y)", "torch.add(x, y, alpha=2)", "torch.add(x, 3)")
row("torch.addcdiv", "ops.addcdiv", "torch.addcdiv(x, y, p, value=0.5)")
row("torch.addcmul", "ops.addcmul", "torch.addcmul(x, y, z, value=0.5)")
row("torch.addr", "ops.addr", "torch.addr(square, v, w)")
row("torch.all", "mint.all", "torch.all(b)", "torch.all(b, dim=1)")
row("torch.allclose", "mint.allclose", "torch.allclose(x, y)", gives="bool")
row("torch.amax", "mint.amax", "torch.amax(x, dim=1)", "torch.amax(x, (0, 2), keepdim=True)")
row("torch.amin", "mint.amin", "torch.amin(x, dim=1)")
row("torch.any", "mint.any", "torch.any(b)", "torch.any(b, dim=1)")
row("torch.arange", "ops.arange", "torch.arange(5)", "torch.arange(1, 10, 2)", "torch.arange(0, 1, 0.25)")
row("torch.argmax", "ops.argmax", "torch.argmax(x)", "torch.argmax(x, dim=1)", "torch.argmax(x, 1, keepdim=True)")
row("torch.argwhere", "ops.argwhere", "torch.argwhere(b)")
row("torch.asin", "ops.asin", "torch.asin(u)")
row("torch.arcsin", "ops.arcsin", "torch.arcsin(u)")
row("torch.asinh", "ops.asinh", "torch.asinh(x)")
row("torch.arcsinh", "ops.arcsinh", "torch.arcsinh(x)")
row("torch.atan", "ops.atan", "torch.atan(x)")
row("torch.arctan", "ops.arctan", "torch.arctan(x)")
row("torch.atan2", "ops.atan2", "torch.atan2(x, y)")
row("torch.arctan2", "ops.arctan2", "torch.arctan2(x, y)")
row("torch.atanh", "mint.atanh", "torch.atanh(u)")
row("torch.arctanh", "mint.arctanh", "torch.arctanh(u)")
row("torch.atleast_1d", "ops.atleast_1d", "torch.atleast_1d(v)")
row("torch.atleast_2d", "ops.atleast_2d", "torch.atleast_2d(v)")
row("torch.atleast_3d", "ops.atleast_3d", "torch.atleast_3d(v)")
row("torch.bitwise_and", "mint.bitwise_and", "torch.bitwise_and(i, j)")
row("torch.bitwise_or", "ops.bitwise_or", "torch.bitwise_or(i, j)")
row("torch.bitwise_xor", "ops.bitwise_xor", "torch.bitwise_xor(i, j)")
row("torch.bitwise_left_shift", "ops.bitwise_left_shift", "torch.bitwise_left_shift(i, j)")
row("torch.bitwise_right_shift", "ops.bitwise_right_shift", "torch.bitwise_right_shift(i, j)")
row("torch.block_diag", "ops.block_diag", "torch.block_diag(square, rows)")
row("torch.bmm", "mint.bmm", "torch.bmm(left, right)")
row("torch.broadcast_to", "mint.broadcast_to", "torch.broadcast_to(v, (3, 4))")
row("torch.cartesian_prod", "ops.cartesian_prod", "torch.cartesian_prod(v, w)")
row("torch.cat", "mint.cat", "torch.cat((x, y), dim=1)", "torch.cat([x, y, z], -1)", "torch.cat([x, y])")
row("torch.concat", "mint.concat", "torch.concat((x, y), dim=1)")
row("torch.cdist", "mint.cdist", "torch.cdist(left, left + 1)")
row("torch.ceil", "mint.ceil", "torch.ceil(x)")
row("torch.cholesky", "ops.cholesky", forward("torch.cholesky(spd)"))
row("torch.chunk", "mint.chunk", "torch.chunk(x, 2, dim=2)", "torch.chunk(x, 2)", gives="tensors")
row("torch.clamp", "mint.clamp", "torch.clamp(x, -0.5, 0.5)", "torch.clamp(x, min=0)", "torch.clamp(x, max=0.3)")
row("torch.clip", "mint.clip", "torch.clip(x, -0.5, 0.5)")
row("torch.column_stack", "ops.column_stack", "torch.column_stack((v, w))")
row("torch.combinations", "ops.combinations", "torch.combinations(v)")
row("torch.conj", "ops.conj", "torch.conj(x)")
row("torch.copysign", "ops.copysign", "torch.copysign(x, y)")
row("torch.cos", "mint.cos", "torch.cos(x)")
row("torch.cosh", "mint.cosh", "torch.cosh(x)")
row("torch.cov", "ops.cov", "torch.cov(rows)")
row("torch.cross", "mint.cross", "torch.cross(x, y, dim=1)")
row("torch.cummax", "mint.cummax", forward("torch.cummax(x, dim=1)"), gives="tensors")
row("torch.cumprod", "mint.cumprod", "torch.cumprod(p, dim=1)")
row("torch.deg2rad", "ops.deg2rad", "torch.deg2rad(x)")
row("torch.det", "ops.det", "torch.det(square)")
row("torch.diag_embed", "ops.diag_embed", "torch.diag_embed(rows)")
row("torch.diagflat", "ops.diagflat", "torch.diagflat(v)")
row("torch.diagonal", "ops.diagonal", "torch.diagonal(square)", "torch.diagonal(x, 0, 1, 2)")
row("torch.diff", "mint.diff", "torch.diff(x)")
row("torch.digamma", "ops.digamma", "torch.digamma(p)")
row("torch.dist", "ops.dist", "torch.dist(x, y)")
row("torch.div", "mint.div", "torch.div(x, p)", "torch.div(x, p, rounding_mode='floor')", "torch.div(x, 2)")
row("torch.divide", "mint.divide", "torch.divide(x, p)")
row("torch.dstack", "mint.dstack", "torch.dstack((x, y))")
row("torch.empty_like", "mint.empty_like", "torch.empty_like(x).shape[0]")
row("torch.eq", "mint.eq", "torch.eq(i, j)")
row("torch.erf", "mint.erf", "torch.erf(x)")
row("torch.erfc", "mint.erfc", "torch.erfc(x)")
row("torch.erfinv", "mint.erfinv", "torch.erfinv(u)")
row("torch.exp", "mint.exp", "torch.exp(x)")
row("torch.exp2", "ops.exp2", "torch.exp2(x)")
row("torch.expm1", "mint.expm1", "torch.expm1(x)")
row("torch.eye", "mint.eye", "torch.eye(3)", "torch.eye(3, 4)")
row(
    "torch.flatten",
    "mint.flatten",
    "torch.flatten(x)",
    "torch.flatten(x, 1)",
    "torch.flatten(x, start_dim=0, end_dim=1)",
)
row("torch.flip", "mint.flip", "torch.flip(x, [1])", "torch.flip(x, dims=(0, 2))")
row("torch.fliplr", "ops.fliplr", "torch.fliplr(x)")
row("torch.flipud", "ops.flipud", "torch.flipud(x)")
row("torch.float_power", "mint.float_power", "torch.float_power(p, 2)")
row("torch.floor", "mint.floor", "torch.floor(x)")
row("torch.floor_divide", "mint.floor_divide", forward("torch.floor_divide(x, p)"))
row("torch.fmax", "ops.fmax", "torch.fmax(x, y)")
row("torch.fmod", "mint.fmod", "torch.fmod(x, p)", "torch.fmod(x, 2)")
row("torch.frac", "ops.frac", "torch.frac(x)")
row("torch.full_like", "ops.full_like", "torch.full_like(x, 2.5)")
row("torch.gather", "mint.gather", "torch.gather(x, 1, at)", "torch.gather(x, dim=1, index=at)")
row("torch.gcd", "mint.gcd", "torch.gcd(i, j)")
row("torch.ge", "mint.ge", "torch.ge(x, y)")
row("torch.greater_equal", "mint.greater_equal", "torch.greater_equal(x, y)")
row("torch.ger", "ops.ger", "torch.ger(v, w)")
row("torch.gt", "mint.gt", "torch.gt(x, y)")
row("torch.greater", "mint.greater", "torch.greater(x, y)")
row("torch.heaviside", "ops.heaviside", forward("torch.heaviside(x, y)"))
row("torch.histc", "ops.histc", "torch.histc(x, bins=5, min=-2, max=2)")
row("torch.hstack", "mint.hstack", "torch.hstack((x, y))")
row("torch.hypot", "ops.hypot", "torch.hypot(x, y)")
row("torch.igamma", "ops.igamma", forward("torch.igamma(p, q)"))
row("torch.igammac", "ops.igammac", forward("torch.igammac(p, q)"))
row("torch.inner", "ops.inner", "torch.inner(x, y)")
row("torch.inverse", "ops.inverse", "torch.inverse(spd)")
row("torch.isclose", "mint.isclose", "torch.isclose(x, y)")
row("torch.isfinite", "mint.isfinite", "torch.isfinite(x)")
row("torch.isinf", "mint.isinf", "torch.isinf(x)")
row("torch.isnan", "mint.isnan", "torch.isnan(x)")
row("torch.isneginf", "ops.isneginf", "torch.isneginf(x)")
row("torch.isposinf", "ops.isposinf", "torch.isposinf(x)")
row("torch.isreal", "ops.isreal", "torch.isreal(x)")
row("torch.kron", "ops.kron", "torch.kron(square, rows)")
row("torch.lcm", "ops.lcm", "torch.lcm(i, j)")
row("torch.ldexp", "ops.ldexp", "torch.ldexp(x, i)")
row("torch.le", "mint.le", "torch.le(x, y)")
row("torch.less_equal", "mint.less_equal", "torch.less_equal(x, y)")
row("torch.lerp", "mint.lerp", "torch.lerp(x, y, 0.3)")
row("torch.lgamma", "ops.lgamma", "torch.lgamma(p)")
row("torch.linspace", "ops.linspace", "torch.linspace(0, 1, 5)", "torch.linspace(-1, 1, steps=7)")
row("torch.log", "mint.log", "torch.log(p)")
row("torch.log10", "ops.log10", "torch.log10(p)")
row("torch.log1p", "mint.log1p", "torch.log1p(p)")
row("torch.log2", "ops.log2", "torch.log2(p)")
row("torch.logaddexp", "ops.logaddexp", "torch.logaddexp(x, y)")
row("torch.logaddexp2", "ops.logaddexp2", "torch.logaddexp2(x, y)")
row("torch.logdet", "ops.logdet", "torch.logdet(spd)")
row("torch.slogdet", "ops.slogdet", "torch.slogdet(spd)", gives="tensors")
row("torch.logical_and", "mint.logical_and", "torch.logical_and(b, d)")
row("torch.logical_not", "mint.logical_not", "torch.logical_not(b)")
row("torch.logical_or", "mint.logical_or", "torch.logical_or(b, d)")
row("torch.logical_xor", "mint.logical_xor", "torch.logical_xor(b, d)")
row("torch.logit", "ops.logit", "torch.logit(unit)")
row("torch.logsumexp", "ops.logsumexp", "torch.logsumexp(x, dim=1)", "torch.logsumexp(x, 1, keepdim=True)")
row("torch.lt", "mint.lt", "torch.lt(x, y)")
row("torch.less", "mint.less", "torch.less(x, y)")
row("torch.masked_fill", "ops.masked_fill", "torch.masked_fill(x, b, 0.5)")
row("torch.masked_select", "mint.masked_select", "torch.masked_select(x, b)")
row("torch.matmul", "mint.matmul", "torch.matmul(left, right)", "torch.matmul(rows, v)")
row("torch.matrix_power", "ops.matrix_power", "torch.matrix_power(square, 3)")
row(
    "torch.max",
    "mint.max",
    "torch.max(x)",
    "torch.max(x, 1)",
    "torch.max(x, dim=1, keepdim=True)",
    "torch.max(x, y)",
    gives="tensors",
)
row("torch.maximum", "mint.maximum", "torch.maximum(x, y)")
row("torch.mean", "mint.mean", "torch.mean(x)", "torch.mean(x, dim=1)", "torch.mean(x, (0, 2), keepdim=True)")
row("torch.meshgrid", "mint.meshgrid", "torch.meshgrid(v, w, indexing='ij')", gives="tensors")
row("torch.min", "mint.min", "torch.min(x)", "torch.min(x, 1)", "torch.min(x, y)", gives="tensors")
row("torch.minimum", "mint.minimum", "torch.minimum(x, y)")
row("torch.mm", "ops.mm", "torch.mm(rows, square)")
row("torch.movedim", "ops.movedim", "torch.movedim(x, 0, 2)")
row("torch.moveaxis", "ops.moveaxis", "torch.moveaxis(x, 0, 2)")
row("torch.msort", "ops.msort", "torch.msort(x)")
row("torch.mul", "mint.mul", "torch.mul(x, y)", "torch.mul(x, 2)")
row("torch.multiply", "ops.multiply", "torch.multiply(x, y)")
row("torch.mv", "ops.mv", "torch.mv(rows, v)")
row("torch.mvlgamma", "ops.mvlgamma", "torch.mvlgamma(p + 2, 2)")
row("torch.nan_to_num", "mint.nan_to_num", "torch.nan_to_num(x)")
row("torch.nanmean", "ops.nanmean", "torch.nanmean(x)")
row("torch.nansum", "mint.nansum", "torch.nansum(x)")
row("torch.narrow", "mint.narrow", "torch.narrow(x, 1, 0, 2)")
row("torch.ne", "mint.ne", "torch.ne(i, j)")
row("torch.not_equal", "mint.not_equal", "torch.not_equal(i, j)")
row("torch.neg", "mint.neg", "torch.neg(x)")
row("torch.negative", "mint.negative", "torch.negative(x)")
row("torch.nextafter", "ops.nextafter", "torch.nextafter(x, y)")
row("torch.nonzero", "mint.nonzero", "torch.nonzero(b)")
row("torch.numel", "ops.numel", "torch.numel(x)", gives="int")
row("torch.ones_like", "ops.ones_like", "torch.ones_like(x)")
row("torch.outer", "ops.outer", "torch.outer(v, w)")
row("torch.permute", "mint.permute", "torch.permute(x, (2, 0, 1))")
row("torch.polar", "mint.polar", "torch.polar(p, x)")
row("torch.positive", "ops.positive", "torch.positive(x)")
row("torch.pow", "mint.pow", "torch.pow(p, 2)", "torch.pow(p, x)", "torch.pow(x, 3)")
row("torch.prod", "mint.prod", "torch.prod(x)", "torch.prod(x, dim=1)")
row("torch.rad2deg", "ops.rad2deg", "torch.rad2deg(x)")
row("torch.ravel", "mint.ravel", "torch.ravel(x)")
row("torch.reciprocal", "mint.reciprocal", "torch.reciprocal(p)")
row("torch.remainder", "mint.remainder", "torch.remainder(x, p)", "torch.remainder(x, 2)")
row("torch.renorm", "ops.renorm", "torch.renorm(x, 2, 0, 1.0)")
row("torch.reshape", "mint.reshape", "torch.reshape(x, (2, 12))", "torch.reshape(x, (-1,))")
row("torch.rot90", "ops.rot90", "torch.rot90(x, 1, [0, 1])")
row("torch.round", "mint.round", "torch.round(x)")
row("torch.rsqrt", "mint.rsqrt", "torch.rsqrt(p)")
row(
    "torch.searchsorted(sorted_sequence, input, right=False)",
    "helper.searchsorted(sorted_sequence, input, right=right)",
    "torch.searchsorted(sorted, x)",
    "torch.searchsorted(sorted, sorted, right=True)",
)
row("torch.select", "mint.select", forward("torch.select(x, 1, 0)"))
row("torch.sgn", "ops.sgn", forward("torch.sgn(x)"))
row("torch.sigmoid", "mint.sigmoid", "torch.sigmoid(x)")
row("torch.sign", "mint.sign", "torch.sign(x)")
row("torch.signbit", "ops.signbit", "torch.signbit(x)")
row("torch.sin", "mint.sin", "torch.sin(x)")
row("torch.sinc", "mint.sinc", "torch.sinc(x)")
row("torch.sinh", "mint.sinh", "torch.sinh(x)")
row("torch.softmax", "mint.softmax", "torch.softmax(x, dim=1)", "torch.softmax(x, -1)")
row("torch.split", "mint.split", "torch.split(x, 2, dim=2)", "torch.split(x, [1, 3], dim=2)", gives="tensors")
row("torch.hsplit", "ops.hsplit", "torch.hsplit(x, 3)", gives="tensors")
row("torch.vsplit", "ops.vsplit", "torch.vsplit(x, 2)", gives="tensors")
row("torch.dsplit", "ops.dsplit", "torch.dsplit(x, 2)", gives="tensors")
row("torch.sqrt", "mint.sqrt", "torch.sqrt(p)")
row("torch.square", "mint.square", "torch.square(x)")
row("torch.squeeze", "ops.squeeze", "torch.squeeze(x.unsqueeze(1))", "torch.squeeze(x.unsqueeze(1), 1)")
row("torch.sub", "mint.sub", "torch.sub(x, y)", "torch.sub(x, y, alpha=2)")
row("torch.subtract", "ops.subtract", "torch.subtract(x, y)")
row("torch.sum", "mint.sum", "torch.sum(x)", "torch.sum(x, dim=1)", "torch.sum(x, (0, 2), keepdim=True)")
row("torch.qr", "ops.qr", forward("torch.qr(spd)"), gives="tensors")
row("torch.swapaxes", "mint.swapaxes", "torch.swapaxes(x, 0, 1)")
row("torch.swapdims", "ops.swapdims", "torch.swapdims(x, 0, 1)")
row("torch.t", "mint.t", "torch.t(rows)")
row("torch.tan", "mint.tan", "torch.tan(u)")
row("torch.tanh", "mint.tanh", "torch.tanh(x)")
row("torch.tile", "mint.tile", "torch.tile(x, (2, 1, 1))")
row(
    "torch.topk",
    "ops.topk",
    "torch.topk(x, 2, dim=-1)",
    "torch.topk(x, 2, dim=1, largest=False)",
    "torch.topk(x, k=2)",
    gives="tensors",
)
row("torch.trace", "ops.trace", "torch.trace(square)")
row("torch.transpose", "mint.transpose", "torch.transpose(x, 0, 1)", "torch.transpose(x, -2, -1)")
row("torch.trapz", "ops.trapz", "torch.trapz(v, w)")
row("torch.tril", "ops.tril", "torch.tril(square)", "torch.tril(square, diagonal=-1)")
row("torch.tril_indices", "ops.tril_indices", "torch.tril_indices(3, 4)")
row("torch.triu", "mint.triu", "torch.triu(square)", "torch.triu(square, diagonal=1)")
row("torch.triu_indices", "ops.triu_indices", "torch.triu_indices(3, 4)")
row("torch.true_divide", "ops.true_divide", "torch.true_divide(x, p)")
row("torch.trunc", "mint.trunc", "torch.trunc(x)")
row("torch.fix", "mint.fix", "torch.fix(x)")
row("torch.unbind", "ops.unbind", "torch.unbind(x, dim=1)", gives="tensors")
row("torch.unique_consecutive", "mint.unique_consecutive", "torch.unique_consecutive(classes)")
row("torch.unsqueeze", "mint.unsqueeze", "torch.unsqueeze(x, 1)", "torch.unsqueeze(x, dim=-1)")
row("torch.vander", "ops.vander", forward("torch.vander(v)"))
row("torch.vstack", "ops.vstack", "torch.vstack((x, y))")
row("torch.row_stack", "ops.row_stack", "torch.row_stack((x, y))")
row("torch.xlogy", "mint.xlogy", "torch.xlogy(p, q)")
row("torch.zeros_like", "ops.zeros_like", "torch.zeros_like(x)")
row("torch.relu", "mint.nn.functional.relu", "torch.relu(x)")
row("torch.selu", "ops.selu", forward("torch.selu(x)"))
row("torch.celu", "ops.celu", "torch.celu(x)")
row("torch.prelu", "mint.nn.functional.prelu", "torch.prelu(signal, v)")
row("torch.threshold", "ops.threshold", "torch.threshold(x, 0.1, 0.5)")
row("torch.conv1d", "ops.conv1d", "torch.conv1d(signal, kernel1)")
row("torch.conv2d", "ops.conv2d", "torch.conv2d(image, kernel)")
row("torch.dropout", "ops.dropout", "torch.dropout(x, 0.0, True)")
row("torch.i0", "ops.i0", "torch.i0(x)")
row("torch.special.erf", "mint.erf", "torch.special.erf(x)")
row("torch.special.logsumexp", "ops.logsumexp", "torch.special.logsumexp(x, 1)")
row("torch.special.log1p", "mint.log1p", "torch.special.log1p(p)")
row("torch.special.expm1", "mint.expm1", "torch.special.expm1(x)")
row("torch.special.exp2", "ops.exp2", "torch.special.exp2(x)")
row("torch.special.erfc", "mint.erfc", "torch.special.erfc(x)")
row("torch.special.sinc", "mint.sinc", "torch.special.sinc(x)")
row("torch.special.softmax", "mint.softmax", "torch.special.softmax(x, 1)")
row("torch.special.logit", "ops.logit", "torch.special.logit(unit)")
row("torch.special.round", "mint.round", "torch.special.round(x)")
row("torch.special.xlogy", "mint.xlogy", "torch.special.xlogy(p, q)")
row("torch.special.i0", "ops.i0", "torch.special.i0(x)")
row("torch.special.digamma", "ops.digamma", "torch.special.digamma(p)")
row("torch.is_tensor", "ops.is_tensor", "torch.is_tensor(x)", gives="bool")
row("torch.is_floating_point", "ops.is_floating_point", "torch.is_floating_point(x)", gives="bool")
row("torch.is_complex", "ops.is_complex", "torch.is_complex(x)", gives="bool")
row("torch.pdist", "ops.pdist", "torch.pdist(rows)")
row("torch.cosine_similarity", "ops.cosine_similarity", "torch.cosine_similarity(x, y, dim=1)")
row("torch.pixel_shuffle", "mint.nn.functional.pixel_shuffle", "torch.pixel_shuffle(image, 2)")
row("torch.pixel_unshuffle", "ops.pixel_unshuffle", "torch.pixel_unshuffle(image, 2)")
row("torch.channel_shuffle", "ops.channel_shuffle", forward("torch.channel_shuffle(image, 2)"))
# Composed, or with other argument names, because mint's form has no CPU kernel or differs there.
both(
    "addbmm(input, batch1, batch2, beta=1, alpha=1)",
    "beta * input + alpha * mint.matmul(batch1, batch2).sum(0)",
    "torch.addbmm(left[0, :, :1] * 1.0, left[:, :, :2], right[:, :2, :])",
)
both(
    "addmm(input, mat1, mat2, beta=1, alpha=1)",
    "ops.addmm(input, mat1, mat2, beta=beta, alpha=alpha)",
    "torch.addmm(rows, rows2, square)",
    "torch.addmm(rows, rows2, square, beta=0.5, alpha=2)",
)
both(
    "addmv(input, mat, vec, beta=1, alpha=1)",
    "ops.addmv(input, mat, vec, beta=beta, alpha=alpha)",
    "torch.addmv(rows[:, 0], rows, v)",
)
both(
    "baddbmm(input, batch1, batch2, beta=1, alpha=1)",
    "ops.baddbmm(input, batch1, batch2, beta=beta, alpha=alpha)",
    "torch.baddbmm(right[:, :3], left, right)",
)
both(
    "aminmax(input, dim=None, keepdim=False)",
    "ops.aminmax(input, axis=dim, keepdims=keepdim)",
    "torch.aminmax(x, dim=1)",
    gives="tensors",
)
both(
    "argmin(input, dim=None, keepdim=False)",
    "ops.argmin(input, axis=dim, keepdims=keepdim)",
    "torch.argmin(x)",
    "torch.argmin(x, dim=1)",
)
both(
    "argsort(input, dim=-1, descending=False)",
    "ops.argsort(input, axis=dim, descending=descending)",
    "torch.argsort(x, dim=1)",
    "torch.argsort(x, descending=True)",
)
both(
    "bincount(input, weights=None, minlength=0)",
    "ops.bincount(input, minlength=minlength).long()",
    "torch.bincount(classes)",
    "torch.bincount(classes, minlength=6)",
)
both("bitwise_not(input)", "ops.invert(input)", "torch.bitwise_not(i)")
row("torch.concatenate(tensors, dim=0)", "mint.cat(tensors, dim=dim)", "torch.concatenate((x, y), dim=1)")
row("torch.linalg.cholesky(A, upper=False)", "ops.cholesky(A, upper=upper)", forward("torch.linalg.cholesky(spd)"))
row("torch.clone(input)", "input.copy()", "torch.clone(x)")
row("torch.complex(real, imag)", "ops.Complex()(real, imag)", forward("torch.complex(x, y)"))
both("corrcoef(input)", "mnp.corrcoef(input)", forward("torch.corrcoef(rows)"))
both(
    "count_nonzero(input, dim=())",
    "ops.count_nonzero(input, axis=dim, dtype=ms.int64)",
    "torch.count_nonzero(i)",
    "torch.count_nonzero(i, dim=1)",
)
row(
    "torch.linalg.cross(input, other, dim=-1)",
    "mint.cross(input, other, dim=dim)",
    "torch.linalg.cross(x, y, dim=1)",
    changed="dim",
)
both("cummin(input, dim)", "ops.cummin(input, axis=dim)", forward("torch.cummin(x, dim=1)"), gives="tensors")
both(
    "cumsum(input, dim, dtype=None)",
    "ops.cumsum(input, axis=dim, dtype=dtype)",
    "torch.cumsum(x, dim=1)",
    "torch.cumsum(x, -1)",
)
both("logcumsumexp(input, dim)", "ops.logcumsumexp(input, axis=dim)", "torch.logcumsumexp(x, dim=1)")
row("torch.linalg.det(A)", "ops.det(A)", "torch.linalg.det(square)")
both("diag(input, diagonal=0)", "mnp.diag(input, k=diagonal)", "torch.diag(v)", "torch.diag(square)")
both("dot(input, tensor)", "(input * tensor).sum()", "torch.dot(v, w)")
row("torch.vdot(input, other)", "(input * other).sum()", "torch.vdot(v, w)")
both(
    "equal(input, other)",
    "bool((input == other).all())",
    "torch.equal(x, x)",
    "torch.equal(x, y)",
    gives="bool",
    note="in MindSpore the shapes must broadcast",
)
both(
    "fmin(input, other)",
    "mint.minimum(input, other)",
    "torch.fmin(x, y)",
    note="MindSpore's form gives NaN where one side is NaN",
)
both(
    "index_fill(input, dim, index, value)",
    "ops.index_fill(input, dim, index.int(), value)",
    "torch.index_fill(x, 1, index, 0.5)",
)
both(
    "index_select(input, dim, index)",
    "ops.index_select(input, axis=dim, index=index)",
    "torch.index_select(x, 1, index)",
    "torch.index_select(x, dim=1, index=index)",
)
row("torch.linalg.inv(A)", "ops.inverse(A)", "torch.linalg.inv(spd)")
row("torch.isin(elements, test_elements)", "mnp.isin(elements, test_elements)", "torch.isin(i, j)")
row("torch.linalg.slogdet(A)", "ops.slogdet(A)", forward("torch.linalg.slogdet(spd)"), gives="tensors")
row(
    "torch.logspace(start, end, steps, base=10.0)",
    "mnp.logspace(start, end, steps, base=base)",
    "torch.logspace(0, 2, 5)",
)
row("torch.linalg.matrix_power(A, n)", "ops.matrix_power(A, n)", "torch.linalg.matrix_power(square, 3)")
row(
    "torch.linalg.norm(A, ord=None, dim=None, keepdim=False)",
    "ops.norm(A, ord=ord, dim=dim, keepdim=keepdim)",
    "torch.linalg.norm(x)",
    "torch.linalg.norm(rows, dim=1)",
)
row(
    "torch.linalg.vector_norm(x, ord=2, dim=None, keepdim=False)",
    "ops.norm(x, ord=ord, dim=dim, keepdim=keepdim)",
    "torch.linalg.vector_norm(x)",
    "torch.linalg.vector_norm(x, dim=1)",
)
row(
    "torch.linalg.matrix_norm(A, ord='fro', dim=(-2, -1), keepdim=False)",
    "ops.matrix_norm(A, ord=ord, axis=dim, keepdims=keepdim)",
    "torch.linalg.matrix_norm(rows)",
)
row("torch.polygamma(n, input)", "ops.polygamma(ms.Tensor(n), input)", forward("torch.polygamma(1, p)"))
both(
    "quantile(input, q, dim=None, keepdim=False)",
    "helper.quantile(input, q, dim=dim, keepdim=keepdim)",
    "torch.quantile(x, 0.4)",
    "torch.quantile(x, 0.4, dim=1)",
)
both(
    "repeat_interleave(input, repeats, dim=None)",
    "ops.repeat_interleave(input, repeats, axis=dim)",
    "torch.repeat_interleave(x, 2, dim=1)",
    "torch.repeat_interleave(x, 3)",
)
both(
    "roll(input, shifts, dims=None)",
    "mnp.roll(input, shifts, axis=dims)",
    "torch.roll(x, 1, 1)",
    "torch.roll(x, shifts=(1, 2), dims=(0, 1))",
)
both(
    "scatter(input, dim, index, src)",
    "ops.tensor_scatter_elements(input, index, src, axis=dim)",
    forward("torch.scatter(x, 1, at, y[:, :2])"),
)
both(
    "scatter_add(input, dim, index, src)",
    "ops.tensor_scatter_elements(input, index, src, axis=dim, reduction='add')",
    "torch.scatter_add(x, 1, at, y[:, :2])",
)
both("log_softmax(input, dim, dtype=None)", "ops.log_softmax(input, axis=dim)", "torch.log_softmax(x, dim=1)")
row("torch.special.log_softmax(input, dim)", "ops.log_softmax(input, axis=dim)", "torch.special.log_softmax(x, 1)")
both(
    "sort(input, dim=-1, descending=False)",
    "ops.sort(input, axis=dim, descending=descending)",
    "torch.sort(x)",
    "torch.sort(x, dim=1, descending=True)",
    gives="tensors",
)
both(
    "tensor_split(input, indices_or_sections, dim=0)",
    "ops.tensor_split(input, indices_or_sections, axis=dim)",
    "torch.tensor_split(x, 2, dim=2)",
    gives="tensors",
)
row(
    "torch.stack(tensors, dim=0)",
    "ops.stack(tensors, axis=dim)",
    "torch.stack((x, y))",
    "torch.stack([x, y], dim=1)",
    "torch.stack([x, y], -1)",
)
both("take(input, index)", "input.view(-1)[index]", "torch.take(x, index)")
row(
    "torch.take_along_dim(input, indices, dim)",
    "mint.gather(input, dim=dim, index=indices)",
    "torch.take_along_dim(x, at, dim=1)",
)
row("torch.tensordot(a, b, dims=2)", "mnp.tensordot(a, b, axes=dims)", "torch.tensordot(x, y, dims=([1, 2], [1, 2]))")
row(
    "torch.trapezoid(y, x=None, dx=1.0, dim=-1)",
    "ops.trapz(y, x, dx=dx, dim=dim)",
    "torch.trapezoid(v)",
    "torch.trapezoid(v, w)",
)
both(
    "unflatten(input, dim, sizes)",
    "helper.unflatten(input, dim, sizes)",
    "torch.unflatten(x, 2, (2, 2))",
    "torch.unflatten(x, -1, (2, 2))",
)
row("torch.special.expit(input)", "mint.sigmoid(input)", "torch.special.expit(x)")
row("torch.special.gammaln(input)", "ops.lgamma(input)", "torch.special.gammaln(p)")
row(
    "torch.special.entr(input)",
    "-input * mint.log(input)",
    "torch.special.entr(p)",
    note="MindSpore's form gives NaN at 0",
)
row("torch.scalar_tensor(s, dtype=None)", "ms.Tensor(s, dtype)", "torch.scalar_tensor(2.5)")
row("torch.chain_matmul(a, b)", "mint.matmul(a, b)", "torch.chain_matmul(rows, square)")
row("torch.pinverse(input)", "ops.pinv(input)", forward("torch.pinverse(spd)", 1e-4))
row("torch.linalg.pinv(A)", "ops.pinv(A)", forward("torch.linalg.pinv(spd)", 1e-4))
row("torch.linalg.solve(A, B)", "ops.matrix_solve(A, B)", "torch.linalg.solve(spd, square)")
row("torch.linalg.svdvals(A)", "ops.svd(A, compute_uv=False)", forward("torch.linalg.svdvals(spd)", 1e-4))
row("torch.full(size, fill_value, dtype=None)", "mnp.full(size, fill_value, dtype=dtype)", "torch.full((2, 3), 1.5)")
row(
    "torch.zeros(*size, dtype=ms.float32)",
    "mint.zeros(size, dtype=dtype)",
    "torch.zeros(2, 3)",
    "torch.zeros((2, 3))",
    "torch.zeros(2, dtype=torch.int64)",
    "torch.zeros(x.size(0), 4)",
    "torch.zeros(x.size())",
)
row(
    "torch.ones(*size, dtype=ms.float32)",
    "mint.ones(size, dtype=dtype)",
    "torch.ones(2, 3)",
    "torch.ones((2, 3))",
    "torch.ones(4)",
)
row("torch.empty(*size, dtype=ms.float32)", "mint.empty(size, dtype=dtype)", "torch.empty(2, 3).shape[0]")
row("torch.broadcast_tensors(*tensors)", "mnp.broadcast_arrays", "torch.broadcast_tensors(x, v)", gives="tensors")
row(
    "torch.bucketize(input, boundaries, right=False)",
    "helper.searchsorted(boundaries, input, right=right)",
    "torch.bucketize(x, sorted)",
    "torch.bucketize(sorted, sorted, right=True)",
)
row(
    "torch.view_as_complex(input)",
    "ops.Complex()(input[..., 0], input[..., 1])",
    forward("torch.view_as_complex(torch.stack([x, y], -1))"),
)
row("torch.view_as_real", "ops.view_as_real", forward("torch.view_as_real(torch.complex(x, y))"))
row("torch.real", "mint.real", forward("torch.real(torch.complex(x, y))"))
row("torch.imag", "mint.imag", forward("torch.imag(torch.complex(x, y))"))


@rule(
    "torch.where(condition, input=None, other=None)",
    "torch.where(b, x, y)",
    "torch.where(x > 0, x, 0.0)",
    "torch.where(b)",
)
def where(call: Call) -> object:
    """mint.where(condition, input, other)."""
    if call.arg("input") is None:
        return call.expr("mint.nonzero(condition).unbind(1)")
    return call.apply("mint.where(condition, input, other)")


def _moments(code: str) -> Example:
    return Example(code, "moments")


# Random numbers differ between the frameworks; their distribution does not.
row(
    "torch.rand(*size, dtype=None)",
    "ops.rand(size, dtype=dtype)",
    _moments("torch.rand(64, 64)"),
    _moments("torch.rand((64, 64))"),
)
row(
    "torch.randn(*size, dtype=None)",
    "ops.randn(size, dtype=dtype)",
    _moments("torch.randn(64, 64)"),
    _moments("torch.randn((64, 64))"),
)
row(
    "torch.rand_like(input, dtype=None)",
    "ops.rand_like(input, dtype=dtype)",
    _moments("torch.rand_like(torch.zeros(64, 64))"),
)
row(
    "torch.randn_like(input, dtype=None)",
    "ops.randn_like(input, dtype=dtype)",
    _moments("torch.randn_like(torch.zeros(64, 64))"),
)
row("torch.normal(mean, std, size)", "ops.normal(size, mean, std)", _moments("torch.normal(0.5, 0.1, (64, 64))"))
row("torch.randperm(n)", "ops.randperm(n)", forward("torch.sort(torch.randperm(7))[0]"))
row(
    "torch.bernoulli(input)",
    "(ops.rand_like(input) < input).to(input.dtype)",
    _moments("torch.bernoulli(torch.ones(64, 64) * 0.3)"),
)
row(
    "torch.multinomial(input, num_samples, replacement=False)",
    "ops.multinomial(input, num_samples, replacement).long()",
    Example("torch.multinomial(probabilities, 2)", "shape"),
)


@rule(
    "torch.randint(low, high=None, size=None, dtype=ms.int64)",
    _moments("torch.randint(0, 10, (64, 64)).float()"),
    _moments("torch.randint(10, (64, 64)).float()"),
)
def randint(call: Call) -> object:
    """ops.randint(low, high, size)."""
    if call.arg("size") is None:
        size = call.arg("high")
        if size is None:
            raise call.fail("its size is not given")
        return call.expr("ops.randint(0, low, size)", size=size)
    return call.expr("ops.randint(low, high, size)")


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _order(letters: str, wanted: str, name: str) -> str:
    """A permutation of one operand, nothing when it is in order."""
    if letters == wanted:
        return name
    return f"{name}.permute({', '.join(str(letters.index(c)) for c in wanted)})"


@rule(
    "torch.einsum(equation, *operands)",
    "torch.einsum('bij,bjk->bik', left, right)",
    "torch.einsum('bij,bkj->bik', x, y)",
    "torch.einsum('bij,bkj->bki', x, y)",
    "torch.einsum('i,j->ij', v, w)",
    "torch.einsum('i,i->', v, w)",
    "torch.einsum('bij,j->bi', x, v)",
    "torch.einsum('ij->ji', rows)",
    "torch.einsum('bij->b', x)",
    "torch.einsum('bchw,bcuv->bhwuv', image, small)",
    "torch.einsum('bij,bij->bij', x, y)",
    "torch.einsum('nc,nc->n', [rows, rows2])",
)
def einsum(call: Call) -> object:
    """permute, matmul and sum, from the equation."""
    equation = call.literal("equation")
    operands = [a.value for a in call.bound.variadic]
    if len(operands) == 1 and isinstance(operands[0], cst.List | cst.Tuple):
        operands = [e.value for e in operands[0].elements]
    if not isinstance(equation, str) or "->" not in equation:
        raise call.fail("its equation is not literal, or names no output")
    left, _, out = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands) or not all(set(i) <= _LETTERS and len(set(i)) == len(i) for i in inputs):
        raise call.fail("its equation repeats an index, or has an ellipsis")
    if len(inputs) == 1:
        a = inputs[0]
        gone = [str(i) for i, c in enumerate(a) if c not in out]
        text = f"operand.sum(({', '.join(gone)},))" if gone else "operand"
        return call.expr(_order("".join(c for c in a if c in out), out, text), operand=operands[0])
    if len(inputs) != 2:
        raise call.fail("it has more than two operands")
    a, b = inputs
    summed = [c for c in a if c in b and c not in out]
    shared = [c for c in out if c in a and c in b]
    only_a, only_b = [c for c in out if c in a and c not in b], [c for c in out if c in b and c not in a]
    if set(a) - set(b) - set(out) or set(b) - set(a) - set(out):
        raise call.fail("it sums over an index of one operand alone")
    if len(summed) > 1 or len(only_a) > 1 or len(only_b) > 1 or not summed:
        # every axis side by side, multiplied and summed
        order = [*shared, *only_a, *only_b, *summed]

        def expanded(letters: str, name: str) -> str:
            text = _order(letters, "".join(c for c in order if c in letters), name)
            index = ", ".join(":" if c in letters else "None" for c in order)
            return text if all(c in letters for c in order) else f"{text}[{index}]"

        text = f"{expanded(a, 'first')} * {expanded(b, 'second')}"
        if summed:
            text = f"({text}).sum(({', '.join(str(-1 - i) for i in range(len(summed)))},))"
        text = _order("".join([*shared, *only_a, *only_b]), out, f"({text})")
        return call.expr(text, first=operands[0], second=operands[1])
    k = summed[0]
    first = _order(a, "".join([*shared, *only_a, k]), "first") + ("" if only_a else ".unsqueeze(-2)")
    second = _order(b, "".join([*shared, k, *only_b]), "second") + ("" if only_b else ".unsqueeze(-1)")
    text = f"mint.matmul({first}, {second})"
    text += "" if only_b else ".squeeze(-1)"
    text += "" if only_a else ".squeeze(-2)" if only_b else ".squeeze(-1)"
    return call.expr(_order("".join([*shared, *only_a, *only_b]), out, text), first=operands[0], second=operands[1])


row(
    "torch.nn.utils.rnn.pad_sequence(sequences, batch_first=False, padding_value=0.0)",
    "helper.pad_sequence(sequences, batch_first=batch_first, padding_value=padding_value)",
    forward("torch.nn.utils.rnn.pad_sequence([x[0], x[1, :2]], batch_first=True)"),
    forward("torch.nn.utils.rnn.pad_sequence([rows, rows[:3]], padding_value=2.0)"),
)
row(
    "torch.nn.Transformer.generate_square_subsequent_mask(sz, device=None, dtype=None)",
    "mint.triu(ops.full((sz, sz), float('-inf'), dtype=dtype or ms.float32), diagonal=1)",
    forward("torch.nn.Transformer.generate_square_subsequent_mask(4)"),
)
