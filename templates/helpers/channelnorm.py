class ChannelNorm(nn.Cell):
    """Layer normalisation over the channels, which are axis 1."""

    def __init__(self, channels, epsilon=1e-7):
        super().__init__()
        self.epsilon = epsilon
        self.gamma = Parameter(initializer("ones", (channels,), ms.float32))
        self.beta = Parameter(initializer("zeros", (channels,), ms.float32))

    def construct(self, x):
        shape = (1, -1) + (1,) * (x.ndim - 2)
        centred = x - x.mean(1, keep_dims=True)
        variance = ops.square(centred).mean(1, keep_dims=True)
        return centred * ops.rsqrt(variance + self.epsilon) * self.gamma.reshape(shape) + self.beta.reshape(shape)
