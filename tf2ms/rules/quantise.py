"""Quantisation simulated in floats, as quantisation-aware training does."""

from __future__ import annotations

from tf2ms.rules.op import Expression, NoForm, Op
from tf2ms.rules.registry import rule


def _levels(op: Op) -> str:
    return f"bits={op.attr('num_bits', 8)}" + (", narrow=True" if op.attr("narrow_range") else "")


@rule("FakeQuantWithMinMaxArgs", form="tf_fake_quantise")
def fake_quant_args(op: Op) -> Expression:
    """tf.quantization.fake_quant_with_min_max_args: the gradient passes inside the range."""
    low, high = op.attr("min", -6.0), op.attr("max", 6.0)
    form = f"tf_fake_quantise({{0}}, ms.Tensor({low!r}, ms.float32), ms.Tensor({high!r}, ms.float32), {_levels(op)})"
    return op.form(form, op.tensor(0))


@rule("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel", form="tf_fake_quantise")
def fake_quant_vars(op: Op) -> Expression:
    """tf.quantization.fake_quant_with_min_max_vars: what is clipped trains the range."""
    form = f"tf_fake_quantise({{0}}, {{1}}, {{2}}, {_levels(op)})"
    return op.form(form, op.tensor(0), op.tensor(1), op.tensor(2))


@rule("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4", form="tf_quantise_dequantise")
def quantize_and_dequantize(op: Op) -> Expression:
    """tf.quantization.quantize_and_dequantize; the gradient passes, in V4 inside the range alone."""
    bits = op.attr("num_bits", 8) if op.node.op != "QuantizeAndDequantizeV3" else op.required_number(3, "the bits")
    options = f"bits={bits}, signed={bool(op.attr('signed_input', True))}"
    options += ", narrow=True" if op.attr("narrow_range") else ""
    options += f", axis={op.attr('axis')}" if op.attr("axis", -1) != -1 else ""
    options += ", round_up=True" if op.attr("round_mode") == "HALF_UP" else ""
    options += ", passing=({1}, {2})" if op.node.op == "QuantizeAndDequantizeV4" else ""
    if op.attr("range_given", op.node.op == "QuantizeAndDequantizeV3"):
        if op.attr("axis", -1) != -1:
            raise NoForm("a given range for each slice of an axis, which TensorFlow's own kernels refuse")
        form = f"tf_quantise_dequantise({{0}}, {options}, given=({{1}}, {{2}}))"
        return op.form(form, *(op.tensor(index) for index in range(3)))
    operands = [op.tensor(index) for index in range(3 if "{1}" in options else 1)]
    return op.form(f"tf_quantise_dequantise({{0}}, {options})", *operands)
