class LayerNorm2d(nn.Cell):
    """Layer normalisation over the channels of each pixel."""

    def __init__(self, channels, epsilon=1e-6):
        super().__init__()
        self.gamma = Parameter(ms.ops.ones((channels, 1, 1), ms.float32))
        self.beta = Parameter(ms.ops.zeros((channels, 1, 1), ms.float32))
        self.epsilon = epsilon

    def construct(self, x):
        x = x - ops.mean(x, 1, keep_dims=True)
        variance = ops.mean(ops.square(x), 1, keep_dims=True)
        return x * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta
