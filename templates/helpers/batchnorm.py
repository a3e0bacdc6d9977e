class BatchNorm(nn.Cell):
    """Batch normalisation whose running variance follows the batch's own, not the unbiased one as in nn.BatchNorm2d."""

    def __init__(self, num_features, eps=1e-5, momentum=0.9):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.gamma = Parameter(initializer("ones", (num_features,)))
        self.beta = Parameter(initializer("zeros", (num_features,)))
        self.moving_mean = Parameter(initializer("zeros", (num_features,)), requires_grad=False)
        self.moving_variance = Parameter(initializer("ones", (num_features,)), requires_grad=False)

    def construct(self, x):
        axes, shape = (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
        mean, variance = self.moving_mean, self.moving_variance
        if self.training:
            mean = ops.reduce_mean(x, axes)
            variance = ops.reduce_mean(ops.square(x - mean.reshape(shape)), axes)
            ops.assign(self.moving_mean, self.momentum * self.moving_mean + (1 - self.momentum) * mean)
            ops.assign(self.moving_variance, self.momentum * self.moving_variance + (1 - self.momentum) * variance)
        scale = (self.gamma * ops.rsqrt(variance + self.eps)).reshape(shape)
        return (x - mean.reshape(shape)) * scale + self.beta.reshape(shape)
