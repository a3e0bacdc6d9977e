"""Mixed precision.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import contextlib

import mindspore as ms
from mindspore import ops


class autocast(contextlib.ContextDecorator):
    """PyTorch's autocast by MindSpore's automatic mixed precision.

    As in PyTorch, a block for another device than the one in use runs as it is; so does bfloat16 on the CPU, for which
    MindSpore has no kernels there.
    """

    def __init__(self, device_type, dtype=None, enabled=True):
        on_cpu, for_cpu = ms.get_context("device_target") == "CPU", device_type.lower() == "cpu"
        dtype = dtype or (ms.bfloat16 if for_cpu else ms.float16)
        enabled = enabled and on_cpu == for_cpu and not (on_cpu and dtype == ms.bfloat16)
        amp = ms.train.amp
        lists = [amp.AMP_AUTO_WHITE_LIST, amp.AMP_AUTO_BLACK_LIST] if enabled else [[], []]
        level, dtype = (amp.AmpLevel.AmpAuto, dtype) if enabled else (amp.AmpLevel.AmpO0, ms.float32)
        names = [[(primitive.__name__, []) for primitive in primitives] for primitives in lists]
        self.precision = amp.AmpDecorator(level, dtype, *names)

    def __enter__(self):
        """From here on."""
        self.precision.__enter__()

    def __exit__(self, *error):
        """Up to here."""
        self.precision.__exit__(*error)


def scaler_state(scaler):
    """The scale of a gradient scaler, and how long it has held; nothing of one that does not scale."""
    if not isinstance(scaler, ms.amp.DynamicLossScaler):
        return {}
    return {"scale": float(scaler.scale_value), "_growth_tracker": int(scaler.counter)}


def load_scaler(scaler, saved):
    """Gives a gradient scaler a state that `scaler_state` returned."""
    if isinstance(scaler, ms.amp.DynamicLossScaler) and saved:
        ops.assign(scaler.scale_value, ms.Tensor(saved["scale"], scaler.scale_value.dtype))
        ops.assign(scaler.counter, ms.Tensor(saved["_growth_tracker"], scaler.counter.dtype))
