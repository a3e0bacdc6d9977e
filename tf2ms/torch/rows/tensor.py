"""Methods of tensors."""
from tf2ms.torch.table import row
row("Tensor.sum", "self.sum", "x.sum(2)")
from tf2ms.torch.table import rule
row("Tensor.mean", "self.mean", "x.mean(2)")
row("Tensor.item", "self.item", "x.sum().item()", gives="float")
@rule("Tensor.size(dim=None)", "x.size(0)", gives="int")
def size(call):
    """self.shape, self.shape[dim]."""
    return call.expr("self.shape" if call.arg("dim") is None else "self.shape[dim]")
@rule("Module.train(mode=True)", untested="x")
def train(call):
    """self.set_train(mode)."""
    return call.apply("self.set_train(mode=mode)")
