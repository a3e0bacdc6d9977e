class LRN(nn.Cell):
    """Local response normalisation over channels, as tf.nn.lrn."""

    def __init__(self, depth_radius, bias=1.0, alpha=1.0, beta=0.5):
        super().__init__()
        self.depth_radius, self.bias, self.alpha, self.beta = depth_radius, bias, alpha, beta

    def construct(self, x):
        channels = ops.arange(x.shape[1])
        near = ops.abs(channels.reshape(-1, 1) - channels) <= self.depth_radius
        total = ops.conv2d(x * x, near.reshape(*near.shape, 1, 1).astype(x.dtype))
        return x * ops.exp(-self.beta * ops.log(self.bias + self.alpha * total))  # several times faster than pow
