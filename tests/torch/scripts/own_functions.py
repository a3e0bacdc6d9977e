"""Own autograd functions: straight-through sign, a swish that keeps memory, gradient reversal."""
import torch
import torch.nn as nn
from torch.autograd import Function


class BinarizeSTE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.sign()

    @staticmethod
    def backward(ctx, grad_output):
        input, = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad_input[input.abs() > 1] = 0
        return grad_input


class SwishImplementation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, i):
        result = i * torch.sigmoid(i)
        ctx.save_for_backward(i)
        return result

    @staticmethod
    def backward(ctx, grad_output):
        i = ctx.saved_tensors[0]
        sigmoid_i = torch.sigmoid(i)
        return grad_output * (sigmoid_i * (1 + i * (1 - sigmoid_i)))


class GradReverse(Function):
    @staticmethod
    def forward(ctx, x, lambd):
        ctx.lambd = lambd
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.neg() * ctx.lambd, None


class LinearFunction(Function):
    @staticmethod
    def forward(ctx, input, weight, bias=None):
        ctx.save_for_backward(input, weight, bias)
        output = input.mm(weight.t())
        if bias is not None:
            output += bias.unsqueeze(0).expand_as(output)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, bias = ctx.saved_tensors
        grad_input = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_output.mm(weight)
        if ctx.needs_input_grad[1]:
            grad_weight = grad_output.t().mm(input)
        if bias is not None and ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum(0)
        return grad_input, grad_weight, grad_bias


def grad_reverse(x, lambd=1.0):
    return GradReverse.apply(x, lambd)


binarize = BinarizeSTE.apply


class MemoryEfficientSwish(nn.Module):
    def forward(self, x):
        return SwishImplementation.apply(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 6)
        self.act = MemoryEfficientSwish()
        self.fc2 = nn.Linear(6, 3)
        self.domain = nn.Linear(6, 2)
        self.weight = nn.Parameter(torch.ones(2, 3) * 0.5)
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        h = self.act(self.fc1(x))
        y = binarize(self.fc2(h))
        d = self.domain(grad_reverse(h, 0.3))
        z = LinearFunction.apply(torch.tanh(self.fc2(h)), self.weight, self.bias)
        return y, d, z


def saliency(model, x, target):
    """The gradient of a class score with respect to the input."""
    model.eval()
    x = x.clone().requires_grad_(True)
    score = model(x)[2][:, target].sum()
    grad, = torch.autograd.grad(score, x)
    return grad.abs()
