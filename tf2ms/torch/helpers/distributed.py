"""Data parallel training.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

from mindspore import communication, ops


def is_initialized():
    """Whether processes work together."""
    return communication.GlobalComm.INITED


def average_gradients(grads):
    """The means over all processes, as DistributedDataParallel makes them; of a single process its own."""
    if not is_initialized():
        return grads
    total, size = ops.AllReduce(), communication.get_group_size()
    return tuple(total(grad) / size for grad in grads)


def across_processes(tensor, op="sum"):
    """The sum, mean, largest or smallest of a tensor over all processes."""
    total = ops.AllReduce("sum" if op == "avg" else op)(tensor)
    return total / communication.get_group_size() if op == "avg" else total


def data_parallel(net):
    """What DistributedDataParallel does first: every process starts with the network of the first."""
    if is_initialized():
        first = communication.get_rank() == 0
        for parameter in net.get_parameters():
            value = parameter.astype(ms.float32) if first else ops.zeros(parameter.shape, ms.float32)
            ops.assign(parameter, ops.AllReduce()(value).astype(parameter.dtype))
    return net
