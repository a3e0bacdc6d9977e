"""Methods and attributes of tensors."""

from __future__ import annotations

import libcst as cst

from tf2ms.torch.calls import Call
from tf2ms.torch.output import DROP
from tf2ms.torch.table import both, forward, row, rule
from tf2ms.torch.target import code

# The same in MindSpore.
row("Tensor.abs", "self.abs", "x.abs()")
row("Tensor.absolute", "self.absolute", "x.absolute()")
row("Tensor.acos", "self.acos", "u.acos()")
row("Tensor.acosh", "self.acosh", "(p + 1).acosh()")
row("Tensor.add", "self.add", "x.add(y)", "x.add(y, alpha=2)", "x.add(1)")
row("Tensor.addcmul", "self.addcmul", "x.addcmul(y, z, value=0.5)")
row("Tensor.addr", "self.addr", "square.addr(v, w)")
row("Tensor.all", "self.all", "b.all()", "b.all(dim=1)", "b.all(1)")
row("Tensor.allclose", "self.allclose", "x.allclose(y)", gives="bool")
row("Tensor.any", "self.any", "b.any()", "b.any(1)")
row("Tensor.argmax", "self.argmax", "x.argmax()", "x.argmax(dim=1)", "x.argmax(1)", "x.argmax(1, keepdim=True)")
row("Tensor.argwhere", "self.argwhere", "b.argwhere()")
row("Tensor.asin", "self.asin", "u.asin()")
row("Tensor.asinh", "self.asinh", "x.asinh()")
row("Tensor.atan", "self.atan", "x.atan()")
row("Tensor.atan2", "self.atan2", "x.atan2(y)")
row("Tensor.atanh", "self.atanh", "u.atanh()")
row("Tensor.bitwise_and", "self.bitwise_and", "i.bitwise_and(j)")
row("Tensor.bitwise_or", "self.bitwise_or", "i.bitwise_or(j)")
row("Tensor.bitwise_xor", "self.bitwise_xor", "i.bitwise_xor(j)")
row("Tensor.bmm", "self.bmm", "left.bmm(right)")
row("Tensor.bool", "self.bool", "i.bool()")
row("Tensor.byte", "self.byte", "i.byte()")
row("Tensor.broadcast_to", "self.broadcast_to", "v.broadcast_to((3, 4))")
row("Tensor.ceil", "self.ceil", "x.ceil()")
row("Tensor.cholesky", "self.cholesky", forward("spd.cholesky()"))
row("Tensor.chunk", "self.chunk", "x.chunk(2, dim=2)", "x.chunk(2)", gives="tensors")
row("Tensor.clamp", "self.clamp", "x.clamp(-0.5, 0.5)", "x.clamp(min=0)", "x.clamp(max=0.3)")
row("Tensor.clip", "self.clip", "x.clip(-0.5, 0.5)")
row("Tensor.contiguous", "self.contiguous", "x.contiguous()")
row("Tensor.copysign", "self.copysign", "x.copysign(y)")
row("Tensor.cos", "self.cos", "x.cos()")
row("Tensor.cosh", "self.cosh", "x.cosh()")
row("Tensor.cross", "self.cross", "x.cross(y, dim=1)")
row("Tensor.cumprod", "self.cumprod", "p.cumprod(dim=1)")
row("Tensor.deg2rad", "self.deg2rad", "x.deg2rad()")
row("Tensor.det", "self.det", "square.det()")
row("Tensor.diagonal", "self.diagonal", "square.diagonal()", "x.diagonal(0, 1, 2)")
row("Tensor.diagflat", "self.diagflat", "v.diagflat()")
row("Tensor.diff", "self.diff", "x.diff()")
row("Tensor.digamma", "self.digamma", "p.digamma()")
row("Tensor.dim", "self.dim", "x.dim()", gives="int")
row("Tensor.div", "self.div", "x.div(p)", "x.div(p, rounding_mode='floor')", "x.div(2)")
row("Tensor.divide", "self.divide", "x.divide(p)")
row("Tensor.double", "self.double", "x.double()")
row("Tensor.eq", "self.eq", "i.eq(j)", "i.eq(1)")
row("Tensor.erf", "self.erf", "x.erf()")
row("Tensor.erfc", "self.erfc", "x.erfc()")
row("Tensor.erfinv", "self.erfinv", "u.erfinv()")
row("Tensor.exp", "self.exp", "x.exp()")
row("Tensor.expand", "self.expand", "v.expand(3, 4)", "x.unsqueeze(1).expand(-1, 5, -1, -1)")
row("Tensor.expand_as", "self.expand_as", "v.expand_as(x)")
row("Tensor.expm1", "self.expm1", "x.expm1()")
row("Tensor.flatten", "self.flatten", "x.flatten()", "x.flatten(1)", "x.flatten(start_dim=0, end_dim=1)")
row("Tensor.fliplr", "self.fliplr", "x.fliplr()")
row("Tensor.flipud", "self.flipud", "x.flipud()")
row("Tensor.float", "self.float", "i.float()")
row("Tensor.float_power", "self.float_power", "p.float_power(2)")
row("Tensor.floor", "self.floor", "x.floor()")
row("Tensor.floor_divide", "self.floor_divide", forward("x.floor_divide(p)"))
row("Tensor.fmod", "self.fmod", "x.fmod(p)")
row("Tensor.frac", "self.frac", "x.frac()")
row("Tensor.gather", "self.gather", "x.gather(1, at)", "x.gather(dim=1, index=at)")
row("Tensor.gcd", "self.gcd", "i.gcd(j)")
row("Tensor.ge", "self.ge", "x.ge(y)", "x.ge(0)")
row("Tensor.greater", "self.greater", "x.greater(y)")
row("Tensor.greater_equal", "self.greater_equal", "x.greater_equal(y)")
row("Tensor.gt", "self.gt", "x.gt(y)", "x.gt(0)")
row("Tensor.half", "self.half", "x.half()")
row("Tensor.hardshrink", "self.hardshrink", "x.hardshrink()")
row("Tensor.heaviside", "self.heaviside", forward("x.heaviside(y)"))
row("Tensor.histc", "self.histc", "x.histc(bins=5, min=-2, max=2)")
row("Tensor.hypot", "self.hypot", "x.hypot(y)")
row("Tensor.inner", "self.inner", "x.inner(y)")
row("Tensor.int", "self.int", "x.int()")
row("Tensor.inverse", "self.inverse", "spd.inverse()")
row("Tensor.is_floating_point", "self.is_floating_point", "x.is_floating_point()", gives="bool")
row("Tensor.isclose", "self.isclose", "x.isclose(y)")
row("Tensor.isfinite", "self.isfinite", "x.isfinite()")
row("Tensor.isinf", "self.isinf", "x.isinf()")
row("Tensor.isnan", "self.isnan", "x.isnan()")
row("Tensor.item", "self.item", "x.sum().item()", gives="float")
row("Tensor.ldexp", "self.ldexp", "x.ldexp(i)")
row("Tensor.le", "self.le", "x.le(y)")
row("Tensor.lerp", "self.lerp", "x.lerp(y, 0.3)")
row("Tensor.less", "self.less", "x.less(y)")
row("Tensor.less_equal", "self.less_equal", "x.less_equal(y)")
row("Tensor.lgamma", "self.lgamma", "p.lgamma()")
row("Tensor.log", "self.log", "p.log()")
row("Tensor.log10", "self.log10", "p.log10()")
row("Tensor.log1p", "self.log1p", "p.log1p()")
row("Tensor.log2", "self.log2", "p.log2()")
row("Tensor.logaddexp", "self.logaddexp", "x.logaddexp(y)")
row("Tensor.logdet", "self.logdet", "spd.logdet()")
row("Tensor.logical_and", "self.logical_and", "b.logical_and(d)")
row("Tensor.logical_not", "self.logical_not", "b.logical_not()")
row("Tensor.logical_or", "self.logical_or", "b.logical_or(d)")
row("Tensor.logical_xor", "self.logical_xor", "b.logical_xor(d)")
row("Tensor.logit", "self.logit", "unit.logit()")
row("Tensor.logsumexp", "self.logsumexp", "x.logsumexp(dim=1)", "x.logsumexp(1, keepdim=True)")
row("Tensor.long", "self.long", "x.long()")
row("Tensor.lt", "self.lt", "x.lt(y)")
row(
    "Tensor.masked_fill",
    "self.masked_fill",
    "x.masked_fill(b, 0.5)",
    "x.masked_fill(b, float('-inf')).exp()",
    "x.masked_fill(i == 0, -1e9).exp()",
)
row("Tensor.masked_select", "self.masked_select", "x.masked_select(b)")
row("Tensor.masked_scatter", "self.masked_scatter", "x.masked_scatter(b, y)")
row("Tensor.matmul", "self.matmul", "left.matmul(right)")
row("Tensor.max", "self.max", "x.max()", "x.max(1)", "x.max(dim=1, keepdim=True)", "x.max(-1)[0]", gives="tensors")
row("Tensor.maximum", "self.maximum", "x.maximum(y)")
row("Tensor.mean", "self.mean", "x.mean()", "x.mean(1)", "x.mean(dim=(0, 2), keepdim=True)", "x.mean([1, 2])")
row("Tensor.min", "self.min", "x.min()", "x.min(1)", "x.min(dim=1, keepdim=True)", gives="tensors")
row("Tensor.minimum", "self.minimum", "x.minimum(y)")
row("Tensor.mm", "self.mm", "rows.mm(square)")
row("Tensor.movedim", "self.movedim", "x.movedim(0, 2)")
row("Tensor.moveaxis", "self.moveaxis", "x.moveaxis(0, 2)")
row("Tensor.msort", "self.msort", "x.msort()")
row("Tensor.mul", "self.mul", "x.mul(y)", "x.mul(2)")
row("Tensor.multiply", "self.multiply", "x.multiply(y)")
row("Tensor.nan_to_num", "self.nan_to_num", "x.nan_to_num()")
row("Tensor.nanmean", "self.nanmean", "x.nanmean()")
row("Tensor.nansum", "self.nansum", "x.nansum()")
row("Tensor.narrow", "self.narrow", "x.narrow(1, 0, 2)")
row("Tensor.ndimension", "self.ndimension", "x.ndimension()", gives="int")
row("Tensor.ne", "self.ne", "i.ne(j)", "i.ne(0)")
row("Tensor.neg", "self.neg", "x.neg()")
row("Tensor.negative", "self.negative", "x.negative()")
row("Tensor.nelement", "self.nelement", "x.nelement()", gives="int")
row("Tensor.nonzero", "self.nonzero", "b.nonzero()")
row("Tensor.not_equal", "self.not_equal", "i.not_equal(j)")
row("Tensor.numel", "self.numel", "x.numel()", gives="int")
row("Tensor.outer", "self.outer", "v.outer(w)")
row("Tensor.permute", "self.permute", "x.permute(2, 0, 1)", "x.permute((2, 0, 1))")
row("Tensor.positive", "self.positive", "x.positive()")
row("Tensor.pow", "self.pow", "p.pow(2)", "p.pow(x)", "x.pow(3)")
row("Tensor.prod", "self.prod", "x.prod()", "x.prod(dim=1)")
row("Tensor.rad2deg", "self.rad2deg", "x.rad2deg()")
row("Tensor.ravel", "self.ravel", "x.ravel()")
row("Tensor.reciprocal", "self.reciprocal", "p.reciprocal()")
row("Tensor.remainder", "self.remainder", "x.remainder(p)")
row("Tensor.renorm", "self.renorm", "x.renorm(2, 0, 1.0)")
row("Tensor.reshape", "self.reshape", "x.reshape(2, 12)", "x.reshape((6, 4))", "x.reshape(-1)")
row("Tensor.reshape_as", "self.reshape_as", "x.reshape_as(p)")
row("Tensor.rot90", "self.rot90", "x.rot90(1, [0, 1])")
row("Tensor.round", "self.round", "x.round()")
row("Tensor.rsqrt", "self.rsqrt", "p.rsqrt()")
row("Tensor.select", "self.select", forward("x.select(1, 0)"))
row("Tensor.sgn", "self.sgn", forward("x.sgn()"))
row("Tensor.short", "self.short", "x.short()")
row("Tensor.sigmoid", "self.sigmoid", "x.sigmoid()")
row("Tensor.sign", "self.sign", "x.sign()")
row("Tensor.signbit", "self.signbit", "x.signbit()")
row("Tensor.sin", "self.sin", "x.sin()")
row("Tensor.sinc", "self.sinc", "x.sinc()")
row("Tensor.sinh", "self.sinh", "x.sinh()")
row("Tensor.slogdet", "self.slogdet", "spd.slogdet()", gives="tensors")
row("Tensor.split", "self.split", "x.split(2, dim=2)", "x.split([1, 3], dim=2)", "x.split(2, -1)", gives="tensors")
row("Tensor.sqrt", "self.sqrt", "p.sqrt()")
row("Tensor.square", "self.square", "x.square()")
row("Tensor.squeeze", "self.squeeze", "x.unsqueeze(1).squeeze()", "x.unsqueeze(1).squeeze(1)")
row("Tensor.sub", "self.sub", "x.sub(y)", "x.sub(y, alpha=2)")
row("Tensor.subtract", "self.subtract", "x.subtract(y)")
row(
    "Tensor.sum",
    "self.sum",
    "x.sum()",
    "x.sum(1)",
    "x.sum(dim=1)",
    "x.sum((0, 2), keepdim=True)",
    "x.sum(dim=-1, keepdim=True)",
)
row("Tensor.swapaxes", "self.swapaxes", "x.swapaxes(0, 1)")
row("Tensor.swapdims", "self.swapdims", "x.swapdims(0, 1)")
row("Tensor.t", "self.t", "rows.t()")
row("Tensor.tan", "self.tan", "u.tan()")
row("Tensor.tanh", "self.tanh", "x.tanh()")
row("Tensor.tile", "self.tile", "x.tile((2, 1, 1))", "x.tile(2, 1, 1)")
row("Tensor.tolist", "self.tolist", "classes.tolist()", gives="list")
row("Tensor.topk", "self.topk", "x.topk(2)", "x.topk(2, dim=1)", "x.topk(k=2, dim=1, largest=False)", gives="tensors")
row("Tensor.trace", "self.trace", "square.trace()")
row("Tensor.transpose", "self.transpose", "x.transpose(0, 1)", "x.transpose(-2, -1)")
row("Tensor.tril", "self.tril", "square.tril()", "square.tril(-1)")
row("Tensor.triu", "self.triu", "square.triu()", "square.triu(1)")
row("Tensor.true_divide", "self.true_divide", "x.true_divide(p)")
row("Tensor.trunc", "self.trunc", "x.trunc()")
row("Tensor.type_as", "self.type_as", "i.type_as(x)")
row("Tensor.unbind", "self.unbind", "x.unbind(dim=1)", "x.unbind(0)", gives="tensors")
row("Tensor.unsqueeze", "self.unsqueeze", "x.unsqueeze(1)", "x.unsqueeze(dim=-1)")
row("Tensor.view_as", "self.view_as", "x.view_as(p)")
row("Tensor.where", "self.where", "x.where(b, y)")
row("Tensor.xlogy", "self.xlogy", "p.xlogy(q)")
row("Tensor.hsplit", "self.hsplit", "x.hsplit(3)", gives="tensors")
row("Tensor.vsplit", "self.vsplit", "x.vsplit(2)", gives="tensors")
row("Tensor.dsplit", "self.dsplit", "x.dsplit(2)", gives="tensors")
row("Tensor.cov", "self.cov", "rows.cov()")
row("Tensor.fmax", "self.fmax", "x.fmax(y)")
row("Tensor.ger", "self.ger", "v.ger(w)")
row("Tensor.lcm", "self.lcm", "i.lcm(j)")
row("Tensor.matrix_power", "self.matrix_power", "square.matrix_power(3)")
row("Tensor.mvlgamma", "self.mvlgamma", "(p + 2).mvlgamma(2)")
row("Tensor.logaddexp2", "self.logaddexp2", "x.logaddexp2(y)")
row("Tensor.isneginf", "self.isneginf", "x.isneginf()")
row("Tensor.isposinf", "self.isposinf", "x.isposinf()")
row("Tensor.igamma", "self.igamma", forward("p.igamma(q)"))
row("Tensor.arctan2", "self.arctan2", "x.arctan2(y)")
row("Tensor.adjoint", "self.adjoint", "x.adjoint()")
row("Tensor.conj", "self.conj", "x.conj()")

# Composed, or with other argument names.
row("Tensor.relu()", "mint.nn.functional.relu(self)", "x.relu()")
row("Tensor.softmax(dim, dtype=None)", "ops.softmax(self, axis=dim, dtype=dtype)", "x.softmax(dim=1)", "x.softmax(-1)")
row("Tensor.exp2()", "ops.exp2(self)", "x.exp2()")
row(
    "Tensor.amax(dim=(), keepdim=False)",
    "mint.amax(self, dim=dim, keepdim=keepdim)",
    "x.amax(dim=1)",
    "x.amax((0, 2), keepdim=True)",
)
row(
    "Tensor.amin(dim=(), keepdim=False)",
    "mint.amin(self, dim=dim, keepdim=keepdim)",
    "x.amin(dim=1)",
    "x.amin((0, 2), keepdim=True)",
)
row("Tensor.cummax(dim)", "mint.cummax(self, dim=dim)", forward("x.cummax(dim=1)"), gives="tensors")
row(
    "Tensor.addcdiv(tensor1, tensor2, value=1)",
    "ops.addcdiv(self, tensor1, tensor2, value=value)",
    "x.addcdiv(y, p, value=0.5)",
)
row("Tensor.clone", "self.copy", "x.clone()", ignored="memory_format")
row("Tensor.mv(vec)", "ops.mv(self, vec)", "rows.mv(v)")
row("Tensor.dist(other, p=2)", "ops.norm((self - other).reshape(-1), ord=p)", "x.dist(y)", changed="p")
row("Tensor.flip(*dims)", "mint.flip(self, dims)", "x.flip([1])", "x.flip(0, 2)", "x.flip(-1)")
row(
    "Tensor.repeat(*repeats)",
    "self.tile(repeats)",
    "x.repeat(2, 1, 1)",
    "v.repeat(3)",
    "v.repeat(2, 1)",
    "v.repeat((2, 1))",
)
row(
    "Tensor.new_zeros(*size, dtype=None)",
    "mint.zeros(size, dtype=self.dtype if dtype is None else dtype)",
    "x.new_zeros(2, 3)",
    "x.new_zeros((2, 3))",
    changed="dtype",
)
row(
    "Tensor.new_ones(*size, dtype=None)",
    "mint.ones(size, dtype=self.dtype if dtype is None else dtype)",
    "x.new_ones(2, 3)",
    "i.new_ones((2, 3))",
    changed="dtype",
)
row(
    "Tensor.new_empty(*size, dtype=None)",
    "mint.empty(size, dtype=self.dtype if dtype is None else dtype)",
    "x.new_empty(2, 3).shape[0]",
    changed="dtype",
)
row(
    "Tensor.new_full(size, fill_value, dtype=None)",
    "mnp.full(size, fill_value, dtype=self.dtype if dtype is None else dtype)",
    "x.new_full((2, 3), 1.5)",
    "i.new_full((2, 3), 2)",
    changed="dtype",
)
row(
    "Tensor.new_tensor(data, dtype=None)",
    "ms.Tensor(data, dtype=self.dtype if dtype is None else dtype)",
    "x.new_tensor([1.0, 2.0])",
    changed="dtype",
)
row(
    "Tensor.view(*shape)",
    "self.view",
    "x.view(2, 12)",
    "x.view(-1, 4)",
    "x.view((6, 4))",
    "x.view(x.size(0), -1)",
    "x.view(x.size()[0], 3, -1)",
)
both(
    "unique(input, sorted=True, return_inverse=False)",
    "helper.unique(input, return_inverse=return_inverse)",
    "torch.unique(i)",
    "torch.unique(i, return_inverse=True)",
    ignored="sorted",
)
both(
    "median(input, dim=None, keepdim=False)",
    "helper.median(input, dim=dim, keepdim=keepdim)",
    "torch.median(x)",
    "torch.median(x, dim=1)",
    gives="tensors",
)
both(
    "kthvalue(input, k, dim=-1, keepdim=False)",
    "helper.kthvalue(input, k, dim=dim, keepdim=keepdim)",
    "torch.kthvalue(x, 2, dim=1)",
    gives="tensors",
)
for _name in ("std", "var"):
    both(
        f"{_name}(input, dim=None, unbiased=True, keepdim=False, correction=1)",
        f"ops.{_name}(input, axis=dim, ddof=correction if unbiased else 0, keepdims=keepdim)",
        f"torch.{_name}(x)",
        f"torch.{_name}(x, dim=1)",
        f"torch.{_name}(x, dim=1, unbiased=False)",
        f"torch.{_name}(x, dim=(1, 2), keepdim=True)",
        f"torch.{_name}(x, -1, keepdim=True)",
        changed="correction",
    )
    row(
        f"torch.{_name}_mean(input, dim=None, unbiased=True, keepdim=False, correction=1)",
        f"ops.{_name}_mean(input, axis=dim, ddof=correction if unbiased else 0, keepdims=keepdim)",
        f"torch.{_name}_mean(x, dim=1)",
        f"torch.{_name}_mean(x, dim=1, unbiased=False)",
        changed="correction",
        gives="tensors",
    )


@rule(
    "torch.norm(input, p='fro', dim=None, keepdim=False)",
    "torch.norm(x)",
    "torch.norm(x, dim=1)",
    "torch.norm(x, p=1, dim=-1, keepdim=True)",
    "torch.norm(x, 2, 1)",
    "torch.norm(x, 2)",
    "torch.norm(x, p=1)",
)
def norm(call: Call) -> object:
    """ops.norm(input, ord=p, dim=dim, keepdim=keepdim)."""
    p = call.literal("p", "fro")
    usual = p in ("fro", 2, 2.0)
    if call.arg("dim") is None:
        return call.expr("ops.norm(input)") if usual else call.expr("ops.norm(input.reshape(-1), ord=p)")
    if p == "fro":
        return call.apply("ops.norm(input, dim=dim, keepdim=keepdim)")
    return call.apply("ops.norm(input, ord=p, dim=dim, keepdim=keepdim)")


@rule(
    "Tensor.norm(p='fro', dim=None, keepdim=False)",
    "x.norm()",
    "x.norm(dim=1)",
    "x.norm(2, 1)",
    "x.norm(p=2, dim=-1, keepdim=True)",
    "x.norm(2)",
)
def tensor_norm(call: Call) -> object:
    """ops.norm(self, ord=p, dim=dim, keepdim=keepdim)."""
    p = call.literal("p", "fro")
    if call.arg("dim") is None:
        return call.expr("ops.norm(self)") if p in ("fro", 2, 2.0) else call.expr("ops.norm(self.reshape(-1), ord=p)")
    if p == "fro":
        return call.apply("ops.norm(self, dim=dim, keepdim=keepdim)")
    return call.apply("ops.norm(self, ord=p, dim=dim, keepdim=keepdim)")


@rule("Tensor.size(dim=None)", "x.size(0)", "x.size()[1]", "x.size(-1)", gives="int")
def size(call: Call) -> object:
    """self.shape, self.shape[dim]."""
    return call.expr("self.shape" if call.arg("dim") is None else "self.shape[dim]")


def _is_place(call: Call, name: str) -> bool:
    """Whether an argument names a device rather than a dtype."""
    node = call.arg(name)
    value = call.value(name)
    if value.kind == "device" or isinstance(call.literal(name), str | int):
        return True
    if value.kind == "dtype" or node is None or (value.kind == "symbol"):
        return False
    text = cst.Module(()).code_for_node(node).lower()
    return any(word in text for word in ("device", "gpu", "cuda", "rank", "cpu"))


@rule(
    "Tensor.to(other, dtype=None, non_blocking=False, copy=False, device=None)",
    "x.to(torch.float64)",
    "x.to('cpu')",
    "i.to(x)",
    "x.to(dtype=torch.int32)",
    "x.to('cpu', torch.float64)",
)
def to(call: Call) -> object:
    """self, or self.to(dtype): MindSpore places tensors itself."""
    if call.arg("dtype") is not None:
        return call.expr("self.to(dtype)")
    if call.arg("other") is None or _is_place(call, "other"):
        return call.receiver
    if call.value("other").kind == "tensor":
        return call.expr("self.to(other.dtype)")
    if call.value("other").kind in ("dtype", "symbol"):
        return call.expr("self.to(other)")
    raise call.fail("its argument may be a device, a dtype or a tensor")


@rule(
    "Tensor.type(dtype=None)", "i.type(torch.float32)", "i.type(torch.FloatTensor)", forward("x.type(torch.LongTensor)")
)
def type_(call: Call) -> object:
    """self.to(dtype)."""
    given = call.value("dtype")
    if given.kind == "symbol" and given.name in _TYPES:
        return call.expr(f"self.to(ms.{_TYPES[given.name]})")
    if call.arg("dtype") is None or given.kind == "str":
        raise call.fail("names of tensor types have no MindSpore form")
    return call.expr("self.to(dtype)")


_TYPES = {
    "torch.FloatTensor": "float32",
    "torch.DoubleTensor": "float64",
    "torch.HalfTensor": "float16",
    "torch.LongTensor": "int64",
    "torch.IntTensor": "int32",
    "torch.ByteTensor": "uint8",
    "torch.BoolTensor": "bool_",
}


def _unchanged(call: Call) -> object:
    """self."""
    if not call.rewriter.is_statement(call.original) or call.row.name == "Tensor.detach_":
        return call.receiver
    assert call.receiver is not None
    if call.row.name == "Tensor.requires_grad_" and code(call.receiver) in call.rewriter.optimized:
        return call.statements(f"{code(call.receiver)} = {code(call.expr('ms.Parameter(self)'))}")
    return DROP


for _name in ("cuda", "cpu", "detach_", "pin_memory", "requires_grad_", "share_memory_", "retain_grad"):
    _code = {"cuda": "", "pin_memory": "", "share_memory_": "", "requires_grad_": "", "retain_grad": ""}.get(
        _name, f"x.{_name}()"
    )
    row(
        f"Tensor.{_name}(*args, **kwargs)",
        _unchanged,
        *([forward(_code)] if _code else []),
        untested="" if _code else "needs a GPU, or does nothing",
        ignored="args kwargs",
    )
row("Tensor.detach()", "ops.stop_gradient(self)", "x.detach() * x")
row("Tensor.numpy()", "self.asnumpy()", forward("x.detach().numpy()"), gives="")
row("Tensor.data", "self", untested="an attribute: parameters are their own data")
row("Tensor.is_cuda", "(ms.get_context('device_target') != 'CPU')", untested="an attribute")
row("Tensor.element_size()", "int(self.itemsize)", "x.element_size()", gives="int")
row("Tensor.nbytes", "self.nbytes", untested="an attribute")
