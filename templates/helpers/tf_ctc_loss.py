def tf_ctc_loss(logits, label_places, labels, lengths, blank_first=False, **flags):
    """The CTC loss of each sequence and its gradient, as tf.raw_ops.CTCLoss, through which it is differentiated."""
    if blank_first:
        logits, labels = ops.concat((logits[..., 1:], logits[..., :1]), -1), labels - 1
    loss, gradient = ops.CTCLoss(**flags)(ops.stop_gradient(logits), label_places, labels, lengths)
    inside = (ops.arange(logits.shape[0])[:, None] < lengths)[..., None]  # behind a sequence's end nothing is written
    gradient = ops.stop_gradient(ops.where(inside, gradient, ops.zeros_like(gradient)))
    path = ops.reduce_sum(logits * gradient, (0, 2))
    if blank_first:
        gradient = ops.concat((gradient[..., -1:], gradient[..., :-1]), -1)
    return ops.stop_gradient(loss - path) + path, gradient
