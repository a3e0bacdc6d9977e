"""Optimizers: what each apply op's inputs mean, and the MindSpore optimizer that makes the same update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class OptimizerRule:
    """One TensorFlow apply op.

    `inputs` names the op's inputs in order: `var`, slots (`m`, `accum`), hyperparameters, `grad`.
    `hyperparameters` maps those of them that a user sets to MindSpore's argument; `flags` does so for attributes.
    `only` holds attribute values that the MindSpore optimizer cannot leave (anything else is unsupported).
    """

    name: str
    cls: str
    inputs: tuple[str, ...]
    hyperparameters: Mapping[str, str]
    flags: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, bool] = field(default_factory=dict)

    def slots(self) -> tuple[str, ...]:
        """Inputs that hold the optimizer's own state."""
        return tuple(name for name in self.inputs if name not in ("var", "grad") and name not in self.hyperparameters)


_ADAM = OptimizerRule(
    "Adam",
    "nn.Adam",
    ("var", "m", "v", "beta1_power", "beta2_power", "lr", "beta1", "beta2", "epsilon", "grad"),
    {"lr": "learning_rate", "beta1": "beta1", "beta2": "beta2", "epsilon": "eps"},
    flags={"use_locking": "use_locking", "use_nesterov": "use_nesterov"},
)
_MOMENTUM = OptimizerRule(
    "Momentum",
    "nn.Momentum",
    ("var", "accum", "lr", "grad", "momentum"),
    {"lr": "learning_rate", "momentum": "momentum"},
    only={"use_nesterov": False},  # on CPU nn.Momentum(use_nesterov=True) equals plain momentum
)
_SGD = OptimizerRule("GradientDescent", "nn.SGD", ("var", "lr", "grad"), {"lr": "learning_rate"})

OPTIMIZERS: Mapping[str, OptimizerRule] = {
    f"{prefix}Apply{rule.name}": rule for rule in (_ADAM, _MOMENTUM, _SGD) for prefix in ("", "Resource")
}


def is_apply(op: str) -> bool:
    """Whether the op type updates a variable from a gradient, known or not: ApplyX, ResourceSparseApplyX …"""
    return op.removeprefix("Resource").removeprefix("Sparse").startswith("Apply")
