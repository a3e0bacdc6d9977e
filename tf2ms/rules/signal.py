"""Fourier transforms over the last axes."""

from __future__ import annotations

from tf2ms.rules.op import Expression, Op
from tf2ms.rules.registry import rule

_NAMES = {
    "FFT": "fft",
    "IFFT": "ifft",
    "FFT2D": "fft2",
    "IFFT2D": "ifft2",
    "FFT3D": "fftn",
    "IFFT3D": "ifftn",
    "RFFT": "rfft",
    "IRFFT": "irfft",
    "RFFT2D": "rfft2",
    "IRFFT2D": "irfft2",
}


@rule(*_NAMES, form="ops.fft and its kin")
def fourier(op: Op) -> Expression:
    """tf.signal.fft and its kin; lengths cut or pad the last axes."""
    name = _NAMES[op.node.op]
    if "R" not in op.node.op[:2]:
        return op.form(f"ops.{name}({{0}}{', dim=(-3, -2, -1)' if '3D' in op.node.op else ''})", op.tensor(0))
    sizes = tuple(int(size) for size in op.required_constant(1, "the length").reshape(-1))
    return op.form(f"ops.{name}({{0}}, {sizes[0] if len(sizes) == 1 else sizes})", op.tensor(0))
