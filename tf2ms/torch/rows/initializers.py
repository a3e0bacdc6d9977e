"""torch.nn.init, and the in-place ways to fill a parameter."""

from __future__ import annotations

import math

import libcst as cst

from tf2ms.torch.calls import Call
from tf2ms.torch.table import Example, forward, row, rule
from tf2ms.torch.target import from_literal


def _moments(code: str) -> Example:
    return Example(code, "moments")


def _fill(what: str) -> str:
    return f"tensor.set_data(initializer({what}, tensor.shape, tensor.dtype))"


row("init.zeros_(tensor)", _fill("'zeros'"), forward("init.zeros_(tensor)"), gives="none")
row("init.ones_(tensor)", _fill("'ones'"), forward("init.ones_(tensor)"), gives="none")
row("init.constant_(tensor, val)", _fill("val"), forward("init.constant_(tensor, 0.3)"), gives="none")
row("init.eye_(tensor)", _fill("'identity'"), forward("init.eye_(tensor)"), gives="none")
row("init.dirac_(tensor, groups=1)", _fill("Dirac(groups)"), forward("init.dirac_(kernel)"), gives="none")
row(
    "init.normal_(tensor, mean=0.0, std=1.0)",
    _fill("Normal(std, mean)"),
    _moments("init.normal_(tensor)"),
    _moments("init.normal_(tensor, 0.5, 0.02)"),
    _moments("init.normal_(tensor, std=0.01)"),
    gives="none",
)
row(
    "init.trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0)",
    _fill("TruncatedNormal(std, mean, a, b)"),
    _moments("init.trunc_normal_(tensor, std=0.02)"),
    _moments("init.trunc_normal_(tensor, 0.0, 1.0)"),
    gives="none",
)
row(
    "init.xavier_normal_(tensor, gain=1.0)",
    _fill("XavierNormal(gain)"),
    _moments("init.xavier_normal_(tensor)"),
    _moments("init.xavier_normal_(kernel, gain=2.0)"),
    gives="none",
)
row(
    "init.xavier_uniform_(tensor, gain=1.0)",
    _fill("XavierUniform(gain)"),
    _moments("init.xavier_uniform_(tensor)"),
    _moments("init.xavier_uniform_(kernel, gain=0.5)"),
    gives="none",
)
for _old in ("xavier_normal", "xavier_uniform"):
    _new = "XavierNormal" if _old == "xavier_normal" else "XavierUniform"
    row(f"init.{_old}(tensor, gain=1.0)", _fill(f"{_new}(gain)"), _moments(f"init.{_old}(tensor)"), gives="none")
_KAIMING = "tensor, a=0, mode='fan_in', nonlinearity='leaky_relu'"
for _name, _cell in (("normal", "HeNormal"), ("uniform", "HeUniform")):
    for _suffix in ("_", ""):
        row(
            f"init.kaiming_{_name}{_suffix}({_KAIMING})",
            _fill(f"{_cell}(negative_slope=a, mode=mode, nonlinearity=nonlinearity)"),
            _moments(f"init.kaiming_{_name}{_suffix}(tensor)"),
            _moments(f"init.kaiming_{_name}{_suffix}(kernel, mode='fan_out', nonlinearity='relu')"),
            _moments(f"init.kaiming_{_name}{_suffix}(tensor, a=math.sqrt(5))"),
            gives="none",
        )
row("init.orthogonal_(tensor, gain=1.0)", _fill("Orthogonal(gain)"), _moments("init.orthogonal_(tensor)"), gives="none")
row(
    "init.sparse_(tensor, sparsity, std=0.01)",
    _fill("Sparse(sparsity, std)"),
    _moments("init.sparse_(tensor, 0.1)"),
    gives="none",
)


def _uniform(call: Call, low: str, high: str, name: str) -> object:
    a, b = call.literal(low, 0.0), call.literal(high, 1.0)
    low_text, high_text = (
        cst.Module(()).code_for_node(n) if n is not None else d
        for n, d in ((call.arg(low), "0.0"), (call.arg(high), "1.0"))
    )
    if (isinstance(a, int | float) and isinstance(b, int | float) and a == -b) or low_text == f"-{high_text}":
        return call.expr(f"{name}.set_data(initializer(Uniform({high}), {name}.shape, {name}.dtype))")
    bounds = {low: call.arg(low) or from_literal(0.0), high: call.arg(high) or from_literal(1.0)}
    return call.expr(f"{name}.set_data(ops.rand({name}.shape) * ({high} - {low}) + {low})", **bounds)


@rule(
    "init.uniform_(tensor, a=0.0, b=1.0)",
    _moments("init.uniform_(tensor)"),
    _moments("init.uniform_(tensor, -0.1, 0.1)"),
    _moments("init.uniform_(tensor, a=0.2, b=0.3)"),
    gives="none",
)
def uniform(call: Call) -> object:
    """tensor.set_data(initializer(Uniform(b), tensor.shape, tensor.dtype)), when a is -b."""
    return _uniform(call, "a", "b", "tensor")


_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 0.75,
}


@rule(
    "init.calculate_gain(nonlinearity, param=None)",
    forward("init.calculate_gain('relu')"),
    forward("init.calculate_gain('leaky_relu', 0.2)"),
    gives="float",
)
def calculate_gain(call: Call) -> object:
    """The number."""
    name, param = call.literal("nonlinearity"), call.literal("param", 0.01)
    if name == "leaky_relu" and isinstance(param, int | float):
        return from_literal(math.sqrt(2 / (1 + param**2)))
    if name not in _GAINS:
        raise call.fail("the name of the nonlinearity is not literal")
    return from_literal(_GAINS[str(name)])


# In place: a parameter is set, anything else assigned anew.
def _is_parameter(call: Call) -> bool:
    node = call.receiver
    while isinstance(node, cst.Attribute) and node.attr.value == "data":
        node = node.value
    return isinstance(node, cst.Attribute) or call.rewriter.is_data(call)


def _in_place(name: str, signature: str, parameter: str, tensor: str, *examples: Example) -> None:
    def convert(call: Call) -> object:
        if _is_parameter(call):
            if name == "uniform_":
                return _uniform(call, "a", "b", "self")
            return call.expr(f"self.set_data(initializer({parameter}, self.shape, self.dtype))", **call.defaults())
        return call.assign(call.expr(tensor, **call.defaults()))

    convert.__doc__ = f"self.set_data(initializer({parameter}, …)) for a parameter, else self = {tensor}."
    row(f"Tensor.{name}({signature})", convert, *examples)


_in_place("zero_", "", "'zeros'", "ops.zeros_like(self)", forward("y = x * 1; y.zero_(); y"))
_in_place("fill_", "value", "value", "ops.full_like(self, value)", forward("y = x * 1; y.fill_(0.5); y"))
_in_place(
    "normal_",
    "mean=0.0, std=1.0",
    "Normal(std, mean)",
    "ops.randn_like(self) * std + mean",
    Example("y = torch.zeros(64, 64); y.normal_(0.5, 0.1); y", "moments"),
)
_in_place(
    "uniform_",
    "a=0.0, b=1.0",
    "Uniform(b)",
    "ops.rand_like(self) * (b - a) + a",
    Example("y = torch.zeros(64, 64); y.uniform_(-0.5, 1.0); y", "moments"),
)


@rule("Tensor.copy_(src, non_blocking=False)", forward("y = x * 1; y.copy_(x[:1] + 1); y"), ignored="non_blocking")
def copy_(call: Call) -> object:
    """ops.assign(self, src) for a parameter, else self = src in the shape and dtype of self."""
    if _is_parameter(call) or call.receiver_value.of == "parameter":
        return call.assign(call.expr("src"))
    return call.assign(call.expr("ops.broadcast_to(src, self.shape).astype(self.dtype)"))
