"""Functions with a gradient of their own.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import mindspore as ms
from mindspore import nn, ops


class Function(nn.Cell):
    """PyTorch's autograd.Function on a cell with its own bprop; `ctx` is the cell of one call."""

    @classmethod
    def apply(cls, *inputs):
        """Runs `forward`, and later `backward`."""
        return cls()(*inputs)

    def save_for_backward(self, *tensors):
        """Keeps tensors for `backward`."""
        self.saved = tensors

    @property
    def saved_tensors(self):
        """What `forward` kept."""
        return self.saved

    def construct(self, *inputs):
        """The function itself."""
        self.count, self.needs_input_grad = len(inputs), [isinstance(i, ms.Tensor) for i in inputs]
        return self.forward(self, *inputs)

    def bprop(self, *values):
        """Its gradient: `values` are the inputs, the output and the output's gradient."""
        given = values[-1] if isinstance(values[-1], tuple) else values[-1:]
        grads = self.backward(self, *given)
        grads = grads if isinstance(grads, tuple) else (grads,)
        pairs = zip(values[: self.count], grads)
        return tuple(ops.zeros_like(v) if g is None and isinstance(v, ms.Tensor) else g for v, g in pairs)
