"""Methods of modules, optimizers and schedulers; saving, devices, mixed precision, data parallel."""

from __future__ import annotations

import libcst as cst

from tf2ms.torch.calls import Call
from tf2ms.torch.output import DROP
from tf2ms.torch.scopes import derives_from
from tf2ms.torch.table import row, rule
from tf2ms.torch.target import Suffix, code, literal

FILES = "tests/torch/test_scripts.py runs it"
CHECKPOINTS = "tests/torch/test_checkpoints.py runs it"


# Modules
@rule("Module.train(mode=True)", untested=FILES, gives="module")
def train(call: Call) -> object:
    """self.set_train(mode)."""
    return call.apply("self.set_train(mode)")


row("Module.eval()", "self.set_train(False)", untested=FILES, gives="module")
row("Module.module", "self", untested="an attribute: data parallel wraps nothing in MindSpore")
row("Module.training", "self.training", untested="an attribute")


@rule("Module.parameters(recurse=True)", untested=FILES)
def parameters(call: Call) -> object:
    """self.trainable_params(); helper.parameters(self) where frozen weights are walked through too."""
    if call.rewriter.package.freezes and call.original in call.rewriter.iterated:
        return call.expr(f"helper.parameters(self{_buffers(call)})")
    return call.expr("self.trainable_params()")


@rule("Module.named_parameters(prefix='', recurse=True)", untested=FILES, gives="")
def named_parameters(call: Call) -> object:
    """helper.named_parameters(self)."""
    return call.expr(f"helper.named_parameters(self{_buffers(call)})")


@rule("Module.requires_grad_(requires_grad=True)", untested=FILES, gives="module")
def requires_grad_(call: Call) -> object:
    """helper.requires_grad_(self, requires_grad)."""
    return call.apply(f"helper.requires_grad_(self, requires_grad{_buffers(call)})")


def _buffers(call: Call) -> str:
    """The buffers' names as an argument, where the files register any."""
    names = sorted(call.rewriter.package.buffers)
    return f", buffers={tuple(names)!r}".replace("'", '"') if names else ""


row("Module.modules()", "[cell for _, cell in self.cells_and_names()]", untested=FILES, gives="")
row("Module.named_modules()", "self.cells_and_names()", untested=FILES, gives="")
row("Module.children()", "self.cells()", untested=FILES, gives="")
row("Module.named_children()", "self.name_cells().items()", untested=FILES, gives="")
row("Module.state_dict()", "self.parameters_dict()", untested=FILES, gives="")
row("Module.forward", "self.construct", untested=FILES)
row(
    "Module.zero_grad(set_to_none=True)",
    lambda call: DROP,
    untested="gradients are values, nothing is kept",
    gives="none",
)
row("Module.apply(fn)", "self.apply(fn)", untested=FILES, gives="module")


@rule("Module.add_module(name, module)", untested=FILES, gives="none")
@rule("Module.register_module(name, module)", untested=FILES, gives="none")
def add_module(call: Call) -> object:
    """self.insert_child_to_cell(name, module); helper.add_module(self, name, module) for a sequence."""
    if derives_from(call.receiver_value, "torch.nn.Sequential"):
        return call.apply("helper.add_module(self, name, module)")
    return call.apply("self.insert_child_to_cell(name, module)")


row("Module.register_forward_hook", "self.register_forward_hook", untested="the same in MindSpore", gives="")
row("Module.register_forward_pre_hook", "self.register_forward_pre_hook", untested="the same in MindSpore", gives="")


def _attribute(call: Call, value: str) -> object:
    name = call.literal("name")
    if not isinstance(name, str) or not name.isidentifier():
        raise call.fail("the name is not literal")
    tensor = call.arg("tensor") or call.arg("param")
    assert call.receiver is not None
    if tensor is None or code(tensor) == "None":
        return call.statements(f"{code(call.receiver)}.{name} = None")
    return call.statements(f"{code(call.receiver)}.{name} = {value.format(code(tensor))}")


@rule("Module.register_buffer(name, tensor, persistent=True)", untested=FILES, gives="none")
def register_buffer(call: Call) -> object:
    """self.name = ms.Parameter(tensor, requires_grad=False)."""
    call.arg("persistent")
    return _attribute(call, "ms.Parameter({}, requires_grad=False)")


@rule("Module.register_parameter(name, param)", untested=FILES, gives="none")
def register_parameter(call: Call) -> object:
    """self.name = param."""
    return _attribute(call, "{}")


def _itself(call: Call) -> object:
    assert call.receiver is not None
    parent_is_statement = call.rewriter.is_statement(call.original)
    return DROP if parent_is_statement else call.receiver


for _name in ("to", "cuda", "cpu"):
    row(f"Module.{_name}(*args, **kwargs)", _itself, untested="the device is the context's", gives="module")
row("Module.half()", "self.to_float(ms.float16)", untested="half precision is not for CPU", gives="module")
row("Module.float()", "self.to_float(ms.float32)", untested="the precision of a whole network", gives="module")

# Optimizers and schedulers
row(
    "Optimizer.zero_grad(set_to_none=True)",
    lambda call: DROP,
    untested="gradients are values, nothing is kept",
    gives="none",
)


@rule("Optimizer.step(closure=None)", untested=FILES, gives="none")
def step(call: Call) -> object:
    """optimizer(grads), with the gradients of the training step."""
    closure = call.arg("closure")
    if closure is not None and code(closure) in call.rewriter.planner.closed:
        return call.expr("self.step(closure)")
    raise call.fail("no loss.backward() was found for it in the same block; give it the gradients: optimizer(grads)")


@rule("Tensor.backward(*args, **kwargs)", untested=FILES, gives="none")
def backward(call: Call) -> object:
    """ms.value_and_grad(forward_fn, None, optimizer.parameters)."""
    reason = call.rewriter.planner.failed.get(call.original, "no optimizer step follows in the same block")
    raise call.fail(f"{reason}; use ms.value_and_grad on a function that returns the loss")


row("Scheduler.step", "self.step", untested="test_optimizers.py", gives="none")
row(
    "Scheduler.get_last_lr()",
    "[float(rate) for rate in self.get_last_lr()]",
    untested="test_optimizers.py",
    gives="list",
)
row("Optimizer.param_groups", "self.param_groups", untested="the same in MindSpore")


# Saving and loading
def _checkpoint_name(call: Call, name: str) -> cst.BaseExpression:
    node = call.arg(name)
    if node is None:
        raise call.fail("the file is not given")
    suffix = Suffix()
    result = node.visit(suffix)
    if not suffix.changed:
        call.note("MindSpore's checkpoints end with .ckpt, which is added where it lacks")
    assert isinstance(result, cst.BaseExpression)
    return result


@rule("torch.save(obj, f)", untested=FILES, gives="none")
def save(call: Call) -> object:
    """ms.save_checkpoint(model, f) for the state of a model; helper.save_state(obj, f) for a dictionary."""
    call.arg("obj")
    original = call.original.args[0].value
    analysis = call.rewriter.analysis
    if (
        isinstance(original, cst.Call)
        and isinstance(original.func, cst.Attribute)
        and original.func.attr.value == "state_dict"
    ):
        owner = original.func.value
        if analysis.value(owner).kind in ("module", ""):
            return call.expr("ms.save_checkpoint(model, f)", model=owner, f=_checkpoint_name(call, "f"))
    kind, name = analysis.value(original).kind, code(original).lower()
    if kind != "dict" and (kind or not any(part in name for part in ("state", "ckpt", "checkpoint"))):
        raise call.fail("only a state_dict, or a dictionary of states and plain values, is saved as a checkpoint")
    for element in original.elements if isinstance(original, cst.Dict) else ():
        value = analysis.value(element.value)
        if value.kind in ("module", "optimizer", "scheduler", "scaler"):
            raise call.fail(f"{code(element.value)} is saved whole; save its state_dict()")
        if isinstance(element, cst.DictElement) and not isinstance(literal(element.key), str):
            raise call.fail(f"the key {code(element.key)} is not a literal string")
    return call.expr("helper.save_state(obj, f)", f=_checkpoint_name(call, "f"))


@rule("torch.load(f, map_location=None, weights_only=True)", untested=FILES, gives="")
def load(call: Call) -> object:
    """ms.load_checkpoint(f); helper.load_state(f) for what may be a dictionary of several states."""
    call.arg("map_location"), call.arg("weights_only")
    weights = call.original in call.rewriter.weights
    return call.expr(f"{'ms.load_checkpoint' if weights else 'helper.load_state'}(f)", f=_checkpoint_name(call, "f"))


row(
    "Module.load_state_dict(state_dict, strict=True)",
    "helper.load_state_dict(self, state_dict, strict=strict)",
    untested=CHECKPOINTS,
    gives="",
    ignored="assign",
)


_NOT_KEPT = ("LBFGS", "Adafactor", "ASGD", "SequentialLR", "ChainedScheduler")


def _kept(call: Call) -> None:
    """Refuses what holds state elsewhere than in its parameters; of an unknown object, when the file makes any."""
    known = [call.receiver_value] if call.receiver_value.name else call.rewriter.analysis.values.values()
    for name in sorted({v.name.rpartition(".")[2] for v in known if v.kind in ("optimizer", "scheduler")}):
        if name in _NOT_KEPT:
            raise call.fail(f"the state of {name} is not saved")


@rule("Optimizer.state_dict()", untested=CHECKPOINTS, gives="dict")
def optimizer_state(call: Call) -> object:
    """helper.optimizer_state(self)."""
    _kept(call)
    return call.expr("helper.optimizer_state(self)")


@rule("Optimizer.load_state_dict(state_dict)", untested=CHECKPOINTS, gives="none")
def load_optimizer(call: Call) -> object:
    """helper.load_optimizer(self, state_dict)."""
    _kept(call)
    return call.expr("helper.load_optimizer(self, state_dict)")


@rule("Scheduler.state_dict()", untested=CHECKPOINTS, gives="dict")
def scheduler_state(call: Call) -> object:
    """helper.scheduler_state(self)."""
    _kept(call)
    return call.expr("helper.scheduler_state(self)")


@rule("Scheduler.load_state_dict(state_dict)", untested=CHECKPOINTS, gives="none")
def load_scheduler(call: Call) -> object:
    """helper.load_scheduler(self, state_dict)."""
    _kept(call)
    return call.expr("helper.load_scheduler(self, state_dict)")


row("Scaler.state_dict()", "helper.scaler_state(self)", untested=CHECKPOINTS, gives="dict")
row("Scaler.load_state_dict(state_dict)", "helper.load_scaler(self, state_dict)", untested=CHECKPOINTS, gives="none")


# Gradients
row("torch.no_grad()", "ms._no_grad()", untested=FILES, gives="")
row("torch.nn.utils.clip_grad_norm_(parameters, max_norm)", lambda call: _outside(call), untested=FILES, gives="")
row("torch.nn.utils.clip_grad_value_(parameters, clip_value)", lambda call: _outside(call), untested=FILES, gives="")
row(
    "torch.nn.utils.parameters_to_vector(parameters)",
    "mint.cat([p.reshape(-1) for p in parameters])",
    untested="a composition",
    gives="tensor",
)


def _outside(call: Call) -> object:
    reason = "it stands outside of a training step; clip the gradients: ops.clip_by_global_norm(grads, max_norm)"
    raise call.fail(call.rewriter.planner.failed.get(call.original, reason))


# Mixed precision
AMP = "tests/torch/test_precision.py runs it"


def _scaler(call: Call) -> object:
    """ms.amp.DynamicLossScaler(scale_value=init_scale, scale_factor=growth_factor, scale_window=growth_interval)."""
    growth, backoff = call.literal("growth_factor", 2.0), call.literal("backoff_factor", 0.5)
    if not isinstance(growth, int | float) or not isinstance(backoff, int | float) or growth * backoff != 1:
        raise call.fail("MindSpore's scale falls by the factor that it grows by")
    text = (
        "ms.amp.DynamicLossScaler(scale_value=init_scale, "
        f"scale_factor={int(growth) if growth == int(growth) else growth}, scale_window=growth_interval)"
    )
    enabled = call.arg("enabled")
    call.arg("device")
    if enabled is not None and call.literal("enabled") is not True:
        text = f"{text} if enabled else ms.amp.StaticLossScaler(1.0)"
    return call.expr(text, **call.defaults())


_SCALER = "init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True"
for _place in ("torch.cuda.amp", "torch.cuda.amp.grad_scaler", "torch.amp", "torch.amp.grad_scaler"):
    _device = "device='cuda', " if _place.startswith("torch.amp") else ""
    row(f"{_place}.GradScaler({_device}{_SCALER})", _scaler, untested=AMP, gives="scaler")
row("Scaler.get_scale()", "float(self.scale_value)", untested=AMP, gives="float")
row(
    "Scaler.is_enabled()",
    "isinstance(self, ms.amp.DynamicLossScaler)",
    untested=AMP,
    gives="bool",
)

_NOTE = "on the CPU bfloat16 is computed in float32: MindSpore has no kernels for it there"
for _place in ("torch", "torch.amp", "torch.amp.autocast_mode"):
    row(
        f"{_place}.autocast(device_type, dtype=None, enabled=True, cache_enabled=None)",
        "helper.autocast(device_type, dtype=dtype, enabled=enabled)",
        untested=AMP,
        note=_NOTE,
        gives="",
        ignored="cache_enabled",
    )
for _place, _device, _dtype in (
    ("torch.cuda.amp", "cuda", "float16"),
    ("torch.cuda.amp.autocast_mode", "cuda", "float16"),
    ("torch.cpu.amp", "cpu", "bfloat16"),
):
    row(
        f"{_place}.autocast(enabled=True, dtype=torch.{_dtype}, cache_enabled=True)",
        f"helper.autocast('{_device}', dtype=dtype, enabled=enabled)",
        untested=AMP,
        note=_NOTE,
        gives="",
        ignored="cache_enabled",
    )


# Functions with gradients of their own
AUTOGRAD = "tests/torch/test_autograd.py runs it"
for _place in ("torch.autograd", "torch.autograd.function"):
    row(f"{_place}.Function", "helper.Function", untested=AUTOGRAD)


@rule(
    "torch.autograd.grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True, "
    "allow_unused=None, is_grads_batched=False, materialize_grads=False)",
    untested=AUTOGRAD,
    gives="tensors",
)
def autograd_grad(call: Call) -> object:
    """ms.grad of a local function with what computes the outputs from the inputs."""
    derivatives = call.rewriter.derivatives
    if (made := derivatives.calls.get(call.original)) is None:
        reason = derivatives.failed.get(call.original, "what computes its outputs was not found in the same block")
        raise call.fail(f"{reason}; use ms.grad on a function of its inputs")
    outputs, weight = call.arg("outputs"), call.arg("grad_outputs")
    if isinstance(outputs, cst.Tuple | cst.List):
        outputs = outputs.elements[0].value
    assert outputs is not None
    call.rewriter.outputs[call.original] = code(outputs), code(weight) if weight is not None else ""
    return call.expr(made)


# Averages of weights
AVERAGES = "tests/torch/test_averages.py runs it"


@rule(
    "torch.optim.swa_utils.AveragedModel(model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False)",
    untested=AVERAGES,
    gives="module",
    reference="helper.AveragedModel",
)
def averaged_model(call: Call) -> object:
    """helper.AveragedModel(model, avg_fn=avg_fn, use_buffers=use_buffers)."""
    given = call.arg("multi_avg_fn")
    if given is not None and code(given) != "None":
        if "get_ema_avg_fn" not in code(given):
            raise call.fail("its argument multi_avg_fn has no MindSpore form; give avg_fn")
        call.bound.given["avg_fn"] = call.bound.given.pop("multi_avg_fn")
    call.arg("device")
    return call.apply("helper.AveragedModel(model, avg_fn=avg_fn, use_buffers=use_buffers)")


for _name in ("get_ema_avg_fn", "get_ema_multi_avg_fn"):
    row(f"torch.optim.swa_utils.{_name}(decay=0.999)", "helper.get_ema_avg_fn(decay)", untested=AVERAGES, gives="")
row(
    "torch.optim.swa_utils.update_bn(loader, model, device=None)",
    "helper.update_bn(loader, model)",
    untested=AVERAGES,
    gives="none",
)
row(
    "torch.optim.swa_utils.SWALR(optimizer, swa_lr, anneal_epochs=10, anneal_strategy='cos', last_epoch=-1)",
    "helper.SWALR(optimizer, swa_lr, anneal_epochs=anneal_epochs, anneal_strategy=anneal_strategy, "
    "last_epoch=last_epoch)",
    untested=AVERAGES,
    gives="scheduler",
)


# Data parallel
@rule("torch.distributed.init_process_group(*args, **kwargs)", untested="needs several processes", gives="none")
def init_process_group(call: Call) -> object:
    """communication.init()."""
    return call.statements(
        "communication.init()",
        "ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)",
    )


MSRUN = "tests/torch/test_distributed.py runs it"
row("torch.distributed.is_initialized()", "helper.is_initialized()", untested=MSRUN, gives="bool")
row("torch.distributed.is_available()", "True", untested="MindSpore always is", gives="bool")
for _name, _op in {"SUM": "sum", "MAX": "max", "MIN": "min", "PRODUCT": "prod", "AVG": "avg"}.items():
    row(f"torch.distributed.ReduceOp.{_name}", f"'{_op}'", untested=MSRUN, gives="str")


@rule("torch.distributed.all_reduce(tensor, op='sum', group=None, async_op=False)", untested=MSRUN, gives="tensor")
def all_reduce(call: Call) -> object:
    """tensor = helper.across_processes(tensor, op)."""
    tensor = call.arg("tensor")
    if call.literal("async_op", False) is not False:
        raise call.fail("it returns before the result is there; MindSpore waits")
    if not isinstance(tensor, cst.Name | cst.Attribute) or not call.rewriter.is_statement(call.original):
        raise call.fail("it changes its argument in place; assign helper.across_processes(tensor) to a name")
    op = call.arg("op")
    made = "helper.across_processes(tensor, op)" if op is not None else "helper.across_processes(tensor)"
    return call.statements(f"{code(tensor)} = {code(call.expr(made))}")


row("torch.distributed.get_rank(group=None)", "communication.get_rank()", untested=MSRUN, gives="int", ignored="group")
row(
    "torch.distributed.get_world_size(group=None)",
    "communication.get_group_size()",
    untested=MSRUN,
    gives="int",
    ignored="group",
)
row("torch.distributed.destroy_process_group()", lambda call: DROP, untested="needs several processes", gives="none")
row(
    "torch.distributed.barrier(*args, **kwargs)",
    "communication.comm_func.barrier()",
    untested=MSRUN,
    gives="none",
    ignored="args kwargs",
)
for _place in ("torch.nn", "torch.nn.parallel"):
    row(
        f"{_place}.DataParallel(module, *args, **kwargs)",
        lambda call: call.arg("module"),
        untested="needs several devices",
        gives="first",
        note="one process uses one device; start several with msrun, after communication.init()",
    )


def _distributed(call: Call) -> object:
    """helper.data_parallel(module)."""
    return call.expr("helper.data_parallel(module)")


for _place in ("torch.nn", "torch.nn.parallel", "torch.nn.parallel.distributed"):
    row(
        f"{_place}.DistributedDataParallel(module, *args, **kwargs)",
        _distributed,
        untested=MSRUN,
        gives="first",
        note="each process runs the whole network; its gradients are averaged over the processes",
    )

# Statements without meaning in MindSpore
for _name in (
    "torch.cuda.empty_cache",
    "torch.cuda.synchronize",
    "torch.cuda.set_device",
    "torch.set_grad_enabled",
    "torch.autograd.set_detect_anomaly",
    "torch.set_num_threads",
    "torch.use_deterministic_algorithms",
    "torch.set_printoptions",
    "torch.multiprocessing.set_start_method",
):
    row(f"{_name}(*args, **kwargs)", lambda call: DROP, untested="nothing to do in MindSpore", gives="none")
row(
    "torch.compile(model, **kwargs)",
    lambda call: call.arg("model"),
    untested="MindSpore compiles with ms.jit",
    gives="first",
)
row("torch.jit.script(obj)", lambda call: call.arg("obj"), untested="MindSpore compiles with ms.jit", gives="first")
row(
    "torch.autograd.Variable(data, requires_grad=False, volatile=False)",
    lambda call: call.arg("data"),
    untested="a tensor is one",
    gives="first",
)
