"""torch.optim and torch.optim.lr_scheduler: mindspore.experimental.optim follows PyTorch's meaning."""

from __future__ import annotations

from tf2ms.torch.calls import Call
from tf2ms.torch.table import row, rule
from tf2ms.torch.target import from_literal


def _optimizer(
    name: str, signature: str, *examples: str, module: str = "optim", changed: str = "", note: str = ""
) -> None:
    names = [p.partition("=")[0].strip() for p in _split(signature) if p.strip() != "*"]
    keywords = ", ".join(f"{n}={n}" for n in names)
    row(
        f"optim.{name}(params, {signature})",
        f"{module}.{name}(params=params, {keywords})",
        *[f"optim.{name}(params{', ' + e if e else ''})" for e in examples],
        changed=changed,
        note=note,
        gives="optimizer",
    )


def _split(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]


_ROUNDING = "the bias correction is computed in float32: 3e-5 of a step"
_BETAS = "betas=(0.9, 0.999), eps=1e-8, weight_decay="
_optimizer(
    "SGD",
    "lr=0.001, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False",
    "lr=0.1",
    "lr=0.1, maximize=True",
    "lr=0.1, momentum=0.9",
    "lr=0.1, momentum=0.9, weight_decay=1e-2, nesterov=True",
    "lr=0.1, momentum=0.9, dampening=0.5",
    changed="lr",
)
_optimizer(
    "Adam",
    f"lr=0.001, {_BETAS}0.0, amsgrad=False, maximize=False",
    "",
    "lr=0.1",
    "lr=0.1, betas=(0.5, 0.99), eps=1e-6",
    "lr=0.1, weight_decay=0.1",
    "lr=0.1, amsgrad=True",
    "lr=0.1, maximize=True",
    note=_ROUNDING,
)
_optimizer(
    "AdamW",
    f"lr=0.001, {_BETAS}0.01, amsgrad=False, maximize=False",
    "",
    "lr=0.1",
    "lr=0.1, weight_decay=0.1",
    "lr=0.1, betas=(0.8, 0.9), amsgrad=True",
    note=_ROUNDING,
)
_optimizer("Adadelta", "lr=1.0, rho=0.9, eps=1e-6, weight_decay=0", "", "lr=0.5, rho=0.8", "weight_decay=0.1")
_optimizer(
    "Adagrad",
    "lr=0.01, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10",
    "",
    "lr=0.1, lr_decay=0.1",
    "lr=0.1, weight_decay=0.1",
)
_optimizer("Adamax", f"lr=0.002, {_BETAS}0", "", "lr=0.1, weight_decay=0.1")


_optimizer(
    "RMSprop",
    "lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False",
    "",
    "lr=0.1, alpha=0.9",
    "lr=0.1, momentum=0.9, centered=True",
    "lr=0.1, eps=0.1, weight_decay=0.1",
)
_optimizer("Rprop", "lr=0.01, etas=(0.5, 1.2), step_sizes=(1e-6, 50)", "", "lr=0.1")
_optimizer("ASGD", "lr=0.01, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0", "", "lr=0.1, weight_decay=0.1")


# Not in mindspore.experimental.optim, or failing there: written out.
_DECOUPLED = "decoupled_weight_decay=False, maximize=False"
_optimizer(
    "NAdam",
    f"lr=0.002, {_BETAS}0, momentum_decay=4e-3, {_DECOUPLED}",
    "",
    "lr=0.1, weight_decay=0.1",
    "lr=0.1, weight_decay=0.1, decoupled_weight_decay=True, momentum_decay=1e-2",
    module="helper",
)
_optimizer(
    "RAdam",
    f"lr=0.001, {_BETAS}0, {_DECOUPLED}",
    "",
    "lr=0.1, betas=(0.8, 0.9), weight_decay=0.1",
    "lr=0.1, weight_decay=0.1, decoupled_weight_decay=True",
    module="helper",
)
_optimizer(
    "Adafactor",
    "lr=0.01, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, maximize=False",
    "",
    "lr=0.1, weight_decay=0.1",
    "lr=0.1, d=1.5, maximize=True",
    module="helper",
)
_optimizer(
    "SparseAdam",
    "lr=0.001, betas=(0.9, 0.999), eps=1e-8, maximize=False",
    "",
    "lr=0.1, betas=(0.8, 0.9)",
    module="helper",
    note="gradients are dense in MindSpore: a row counts as used where its gradient is not zero",
)
_optimizer(
    "Muon",
    "lr=0.001, weight_decay=0.1, momentum=0.95, nesterov=True, ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-7, "
    "ns_steps=5, adjust_lr_fn=None",
    "",
    "lr=0.1, nesterov=False",
    "lr=0.1, adjust_lr_fn='match_rms_adamw'",
    module="helper",
    note="the orthogonalisation is in float32; PyTorch's is in bfloat16 (compared with its bfloat16 step in float32)",
)
row(
    "optim.LBFGS(params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9, "
    "history_size=100, line_search_fn=None)",
    "helper.LBFGS(params, lr=lr, max_iter=max_iter, max_eval=max_eval, tolerance_grad=tolerance_grad, "
    "tolerance_change=tolerance_change, history_size=history_size, line_search_fn=line_search_fn)",
    untested="tests/torch/test_optimizers.py runs it with a closure",
    gives="optimizer",
)


def _scheduler(name: str, signature: str, *examples: str, module: str = "optim.lr_scheduler") -> None:
    names = [p.partition("=")[0].strip() for p in _split(signature)]
    row(
        f"lr_scheduler.{name}(optimizer, {signature}, verbose='deprecated')",
        f"{module}.{name}(optimizer=optimizer, {', '.join(f'{n}={n}' for n in names)})",
        *[f"lr_scheduler.{name}(optimizer, {e})" for e in examples],
        gives="scheduler",
        ignored="verbose",
    )


_LAST = "last_epoch=-1"


@rule(
    "lr_scheduler.StepLR(optimizer, step_size, gamma=0.1, last_epoch=-1, verbose='deprecated')",
    "lr_scheduler.StepLR(optimizer, 2)",
    "lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)",
    "lr_scheduler.StepLR(optimizer, 2.0, gamma=0.7)",
    gives="scheduler",
    ignored="verbose",
)
def step_lr(call: Call) -> object:
    """optim.lr_scheduler.StepLR(optimizer=optimizer, step_size=step_size, gamma=gamma, last_epoch=last_epoch)."""
    size = call.literal("step_size")
    if isinstance(size, float):
        given = call.bound.given["step_size"]
        call.bound.given["step_size"] = given.with_changes(value=from_literal(int(size)))
    return call.apply(
        "optim.lr_scheduler.StepLR(optimizer=optimizer, step_size=step_size, gamma=gamma, last_epoch=last_epoch)"
    )


_scheduler("MultiStepLR", f"milestones, gamma=0.1, {_LAST}", "[2, 5]", "milestones=[3], gamma=0.3")
_scheduler("ExponentialLR", f"gamma, {_LAST}", "0.9", "gamma=0.5")
_scheduler("CosineAnnealingLR", f"T_max, eta_min=0.0, {_LAST}", "8", "T_max=5, eta_min=0.01")
_scheduler("CosineAnnealingWarmRestarts", f"T_0, T_mult=1, eta_min=0, {_LAST}", "4", "3, T_mult=2")
_scheduler("LambdaLR", f"lr_lambda, {_LAST}", "lambda epoch: 0.9 ** epoch", "lr_lambda=lambda e: 1 / (1 + e)")
_scheduler("MultiplicativeLR", f"lr_lambda, {_LAST}", "lambda epoch: 0.95")
_scheduler(
    "LinearLR",
    f"start_factor=0.3333333333333333, end_factor=1.0, total_iters=5, {_LAST}",
    "total_iters=4",
    "start_factor=0.1",
)
_scheduler("ConstantLR", f"factor=0.3333333333333333, total_iters=5, {_LAST}", "total_iters=3", "factor=0.5")
_scheduler("PolynomialLR", f"total_iters=5, power=1.0, {_LAST}", "total_iters=6, power=2.0")
row(
    "lr_scheduler.ReduceLROnPlateau(optimizer, mode='min', factor=0.1, patience=10, "
    "threshold=1e-4, threshold_mode='rel', cooldown=0, min_lr=0, eps=1e-8, "
    "verbose='deprecated')",
    "optim.lr_scheduler.ReduceLROnPlateau(optimizer=optimizer, mode=mode, factor=factor, "
    "patience=patience, threshold=threshold, threshold_mode=threshold_mode, cooldown=cooldown, "
    "min_lr=min_lr, eps=eps)",
    "lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)",
    "lr_scheduler.ReduceLROnPlateau(optimizer, 'max', factor=0.5, patience=0)",
    gives="scheduler",
    ignored="verbose",
)
row(
    "lr_scheduler.SequentialLR(optimizer, schedulers, milestones, last_epoch=-1)",
    "optim.lr_scheduler.SequentialLR(optimizer=optimizer, schedulers=schedulers, "
    "milestones=milestones, last_epoch=last_epoch)",
    "lr_scheduler.SequentialLR(optimizer, [lr_scheduler.ConstantLR(optimizer, 0.1, 2), "
    "lr_scheduler.ExponentialLR(optimizer, 0.9)], [3])",
    gives="scheduler",
)
_scheduler(
    "OneCycleLR",
    "max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3, anneal_strategy='cos', "
    "cycle_momentum=True, base_momentum=0.85, max_momentum=0.95, div_factor=25.0, final_div_factor=1e4, "
    f"three_phase=False, {_LAST}",
    "max_lr=0.5, total_steps=12",
    "0.5, epochs=3, steps_per_epoch=4, anneal_strategy='linear', three_phase=True",
    "0.1, total_steps=20, pct_start=0.2, cycle_momentum=False",
    module="helper",
)
_scheduler(
    "CyclicLR",
    "base_lr, max_lr, step_size_up=2000, step_size_down=None, mode='triangular', gamma=1.0, scale_fn=None, "
    f"scale_mode='cycle', cycle_momentum=True, base_momentum=0.8, max_momentum=0.9, {_LAST}",
    "base_lr=0.01, max_lr=0.1, step_size_up=3",
    "0.01, 0.1, step_size_up=2, step_size_down=1, mode='triangular2'",
    "0.01, 0.1, step_size_up=3, mode='exp_range', gamma=0.9, cycle_momentum=False",
    "0.01, 0.1, step_size_up=2, scale_fn=lambda x: 0.5 ** x, scale_mode='iterations'",
    module="helper",
)
row(
    "lr_scheduler.ChainedScheduler(schedulers, optimizer=None)",
    "helper.ChainedScheduler(schedulers, optimizer=optimizer)",
    "lr_scheduler.ChainedScheduler([lr_scheduler.ConstantLR(optimizer, 0.1, 2), "
    "lr_scheduler.ExponentialLR(optimizer, 0.9)])",
    gives="scheduler",
)
