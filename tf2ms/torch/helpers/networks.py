"""What PyTorch's modules can do that cells cannot.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

from mindspore import nn, ops


def named_parameters(net, buffers=()):
    """PyTorch's named_parameters: its names; trained and frozen weights, without statistics and other buffers."""
    found = {}
    for path, cell in net.cells_and_names():
        layer = any(kind.__module__.startswith("mindspore.nn.layer") for kind in type(cell).__mro__)
        names = {"gamma": "weight", "beta": "bias", "embedding_table": "weight"} if layer else {}
        for name, parameter in cell.parameters_and_names(expand=False):
            name = name.rpartition(".")[2]
            if name not in buffers and not (layer and name in ("moving_mean", "moving_variance")):
                name = names.get(name, name)
                found.setdefault(id(parameter), (f"{path}.{name}" if path else name, parameter))
    return list(found.values())


def parameters(net, buffers=()):
    """PyTorch's parameters: trained and frozen weights, without statistics and other buffers."""
    return [parameter for _, parameter in named_parameters(net, buffers)]


def requires_grad_(net, requires_grad=True, buffers=()):
    """Whether the weights of a network are trained."""
    for parameter in parameters(net, buffers):
        parameter.requires_grad = requires_grad
    return net


def load_state_dict(net, state, strict=True):
    """PyTorch's load_state_dict: with `strict`, every name of the network must be there, and no other."""
    own = net.parameters_dict()
    missing, unexpected = [n for n in own if n not in state], [n for n in state if n not in own]
    if strict and (missing or unexpected):
        raise RuntimeError(f"{type(net).__name__}: missing in the state: {missing}; unexpected: {unexpected}")
    for name, parameter in own.items():
        if name in state:
            if tuple(parameter.shape) != tuple(state[name].shape):
                raise RuntimeError(f"{name} has the shape {state[name].shape} in the state, not {parameter.shape}")
            ops.assign(parameter, state[name].astype(parameter.dtype))
    return missing, unexpected


def add_module(net, name, cell):
    """PyTorch's add_module: a sequence runs it after the others."""
    net.insert_child_to_cell(name, cell)
    if isinstance(net, nn.SequentialCell):
        net.cell_list = list(net.cells())
