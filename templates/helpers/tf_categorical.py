def tf_categorical(logits, count):
    """Class numbers drawn by their logits, as tf.random.categorical: the largest of logits and Gumbel noise."""
    noise = -ops.log(-ops.log(ops.clamp(ops.rand(logits.shape[0], count, logits.shape[1]), 1e-30, 0.99999994)))
    return ops.argmax(ops.expand_dims(logits.astype(ms.float32), 1) + noise, -1)
