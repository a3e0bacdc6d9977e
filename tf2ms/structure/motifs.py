"""Names that the field has for parts of networks, given where the structure is exactly the part."""

from __future__ import annotations

from collections.abc import Sequence

from tf2ms.rules.types import Step
from tf2ms.structure.groups import Group, arguments_of, unit_name
from tf2ms.structure.names import plain_text
from tf2ms.structure.types import BlockLayer


def motif_name(steps: Sequence[Step], group: Group) -> str | None:
    """Bottleneck, ConvNeXtBlock, SqueezeExcite, MultiHeadAttention …; None if the block is none of them."""
    convolutions = [step for step in steps if _kernel(step) is not None and not _is_shortcut(step, steps, group)]
    kernels, depthwise = [_kernel(step) for step in convolutions], [_is_depthwise(step) for step in convolutions]
    ops = [step.op for step in steps]
    classes = [step.layer.cls if step.layer else "" for step in steps]
    last = steps[-1]
    while last.layer is not None and not last.layer.weights and not isinstance(last.layer, BlockLayer):
        last = next((step for step in steps if step.outputs == last.inputs), steps[0])
    adds, scales, joins = (last.form == "{0} + {1}", last.form == "{0} * {1}", last.op == "ConcatV2")
    if "Softmax" in ops and sum("matmul" in step.form for step in steps) == 2:
        return "MultiHeadAttention"
    if "MultiHeadAttention" in classes and "nn.LayerNorm" in classes and "nn.Dense" in classes:
        return "TransformerEncoderLayer"
    if scales and "Mean" in ops and "Sigmoid" in ops:
        return "SqueezeExcite"
    if depthwise == [False, True, False] and kernels[0] == kernels[2] == 1:
        return "InvertedResidual"
    if adds and depthwise == [True, False, False] and kernels[1:] == [1, 1] and kernels[0] != 1:
        return "ConvNeXtBlock"
    if adds and kernels == [1, 3, 1] and not any(depthwise):
        return "Bottleneck"
    if adds and kernels == [3, 3] and not any(depthwise):
        return "BasicBlock"
    if joins and len(last.inputs) == 2 and group.inputs and group.inputs[0] in last.inputs:
        return "DenseLayer"
    if joins and len(last.inputs) > 2:
        return "Inception"
    if kernels == [3, 3] and len(steps) == 2:
        return "DoubleConv"
    return None


def _is_shortcut(step: Step, steps: Sequence[Step], group: Group) -> bool:
    """Whether the step leads from the block's input straight into a sum."""
    users = [other for other in steps if step.outputs[0] in other.inputs]
    return step.inputs[0] in group.inputs and [user.form for user in users] == ["{0} + {1}"]


def _kernel(step: Step) -> object:
    """The kernel size of a convolution, plain or in a unit; None for anything else."""
    layer = step.layer
    if layer is None:
        return None
    if isinstance(layer, BlockLayer) and layer.block is not None:
        first = layer.inner[0] if layer.inner else None
        return _kernel(first) if first is not None and unit_name(layer.block.program.steps) else None
    return arguments_of(step).get("kernel_size") if layer.cls == "nn.Conv2d" else None


def _is_depthwise(step: Step) -> bool:
    layer = step.layer
    if isinstance(layer, BlockLayer) and layer.inner and layer.inner[0] is not None:
        return _is_depthwise(layer.inner[0])
    arguments = arguments_of(step)
    return arguments.get("group", 1) not in (None, 1) and arguments.get("group") == arguments.get("in_channels")


def shortcut_places(steps: Sequence[Step], group: Group) -> set[int]:
    """The layers that lie between the block's input and its closing sum: projection shortcuts."""
    return {
        place
        for place, step in enumerate(steps)
        if _kernel(step) is not None
        and _is_shortcut(step, steps, group)
        and sum(group.inputs[0] in other.inputs for other in steps) > 1
    }


_MAX_LISTED = 60
"""Names longer than this together are given as the first and the last."""


def describe(groups: Sequence[Group], steps: Sequence[Step]) -> str:
    """One sentence: what the unit is, or which scopes of TensorFlow the class stands for."""
    if unit_name(steps):
        words = {
            "nn.Conv2d": "Convolution",
            "nn.Conv1d": "Convolution",
            "nn.Dense": "Dense layer",
            "nn.BatchNorm1d": "batch normalisation",
            "nn.BatchNorm2d": "batch normalisation",
        }
        parts = [words.get(step.layer.cls, step.layer.cls.removeprefix("nn.")) for step in steps if step.layer]
        return f"{parts[0]}, then {' and '.join(parts[1:])}."
    labels = list(dict.fromkeys(plain_text("/".join(group.label)) for group in groups if group.label))
    if len(labels) < len(groups):
        return f"A block that the network has {len(groups)} times."
    short = len(labels) <= 3 and len(", ".join(labels)) <= _MAX_LISTED
    where = ", ".join(labels) if short else f"{labels[0]} … {labels[-1]}"
    last = steps[-1]
    if last.op == "ConcatV2" and len(last.inputs) > 1:
        return f"{where}: {len(last.inputs)} branches, joined on one axis."
    return f"{where} of the TensorFlow graph."
