"""Training loops.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import mindspore as ms


class OnStep(ms.Callback):
    """Calls a function with the number and the loss of each step of `Model.train`."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def on_train_step_end(self, run_context):
        """After a step."""
        arguments = run_context.original_args()
        self.function((arguments.cur_step_num - 1) % arguments.batch_num, arguments.net_outputs)
