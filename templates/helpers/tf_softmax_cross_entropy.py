def tf_softmax_cross_entropy(logits, labels):
    """The loss of each row and its gradient, as tf.nn.softmax_cross_entropy_with_logits."""
    labels = ops.broadcast_to(labels, logits.shape)
    loss = -ops.reduce_sum(labels * ops.log_softmax(logits, axis=-1), -1)
    return loss, ops.softmax(logits, axis=-1) - labels
