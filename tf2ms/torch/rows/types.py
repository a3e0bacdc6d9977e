"""Dtypes, types and devices."""

from __future__ import annotations

from tf2ms.torch.calls import Call
from tf2ms.torch.table import forward, row
from tf2ms.torch.target import variadic_value

for _names, _to in {
    "float32 float": "float32",
    "float64 double": "float64",
    "float16 half": "float16",
    "int8": "int8",
    "int16 short": "int16",
    "int32 int": "int32",
    "int64 long": "int64",
    "uint8": "uint8",
    "bool": "bool_",
    "complex64": "complex64",
    "complex128": "complex128",
}.items():
    for _name in _names.split():
        row(
            f"torch.{_name}",
            f"ms.{_to}",
            forward(f"torch.ones(2, dtype=torch.{_name})")
            if "complex" not in _to
            else forward(f"torch.complex(x, y).to(torch.{_name})"),
            gives="dtype",
        )
row("torch.bfloat16", "ms.bfloat16", untested="NumPy has no such type to compare", gives="dtype")
row("torch.Tensor", "ms.Tensor", forward("torch.Tensor([1.0, 2.0])"))
for _name, _to in {
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "HalfTensor": "float16",
    "LongTensor": "int64",
    "IntTensor": "int32",
    "ShortTensor": "int16",
    "ByteTensor": "uint8",
    "BoolTensor": "bool_",
}.items():

    def _typed(call: Call, dtype: str = _to) -> object:
        """ms.Tensor(data, dtype); zeros of a shape."""
        given = [a.value for a in call.bound.variadic]
        call.path = True  # a name that holds the type is as good as the type
        if len(given) == 1 and call.value_at(0).kind != "int":
            return call.expr(f"ms.Tensor(data, ms.{dtype})", data=given[0])
        if not given:
            raise call.fail("a tensor without elements")
        return call.expr(f"mint.zeros(shape, dtype=ms.{dtype})", shape=variadic_value(call.bound.variadic, False))

    row(
        f"torch.{_name}(*data)",
        _typed,
        forward(f"torch.{_name}([1, 0])"),
        forward(f"torch.{_name}(2, 3).fill_(1)"),
        reference="ms.Tensor",
    )
row("torch.optim.Optimizer", "optim.Optimizer", untested="a type")
row("torch.optim.lr_scheduler.LRScheduler", "optim.lr_scheduler.LRScheduler", untested="a type")
row("torch.optim.lr_scheduler._LRScheduler", "optim.lr_scheduler.LRScheduler", untested="a type")
row("torch.Size", "tuple", untested="a type")
row("torch.dtype", "ms.Type", untested="a type")
row(
    "torch.tensor(data, dtype=None, device=None, requires_grad=False)",
    "ms.Tensor(data, dtype)",
    forward("torch.tensor([1.0, 2.0])"),
    forward("torch.tensor([[1, 2], [3, 4]])"),
    forward("torch.tensor(2.5)"),
    forward("torch.tensor([1, 2], dtype=torch.float32)"),
)
row("torch.as_tensor(data, dtype=None, device=None)", "ms.Tensor(data, dtype)", forward("torch.as_tensor([1.0, 2.0])"))
row("torch.from_numpy(ndarray)", "ms.Tensor.from_numpy(ndarray)", forward("torch.from_numpy(np.ones(3, np.float32))"))
row("torch.pi", "np.pi", untested="a number", gives="float")
row("torch.inf", "np.inf", untested="a number", gives="float")
row("torch.nan", "np.nan", untested="a number", gives="float")
row("torch.newaxis", "None", untested="a constant")
row("torch.is_storage(obj)", "False", untested="MindSpore has no storages")
row(
    "torch.device(type='cpu', index=None)",
    "ms.get_context('device_target')",
    untested="the device is the context's",
    gives="device",
    ignored="type index",
)
row("Device.type", "self", untested="an attribute: the device is the context's")
row("Device.index", "0", untested="an attribute: one device a process in MindSpore")
row(
    "torch.cuda.is_available()",
    "ms.get_context('device_target') != 'CPU'",
    forward("torch.cuda.is_available()"),
    gives="bool",
)
row("torch.backends.mps.is_available()", "False", untested="MindSpore has no such device", gives="bool")
row(
    "torch.manual_seed(seed)",
    "ms.set_seed(seed)",
    untested="random numbers differ between the frameworks",
    gives="none",
)
row(
    "torch.cuda.manual_seed(seed)",
    "ms.set_seed(seed)",
    untested="random numbers differ between the frameworks",
    gives="none",
)
row(
    "torch.cuda.manual_seed_all(seed)",
    "ms.set_seed(seed)",
    untested="random numbers differ between the frameworks",
    gives="none",
)
row("torch.cuda.device_count()", "1", untested="one device a process in MindSpore", gives="int")
