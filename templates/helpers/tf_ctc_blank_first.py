def tf_ctc_blank_first(loss_and_gradient):
    """The outputs of CTCLoss with the blank moved back to the first class."""
    loss, gradient = loss_and_gradient
    return loss, ops.concat((gradient[..., -1:], gradient[..., :-1]), -1)
