def tf_block_lstm(length, x, cell, hidden, *weights, **options):
    """TensorFlow's BlockLSTM: what each step's cell gives, stacked over time; zeros from `length` on."""
    steps = []
    for step in range(length):
        made = tf_lstm_cell(x[step], cell, hidden, *weights, **options)
        cell, hidden = made[1], made[6]
        steps.append(made)
    rest = [ops.zeros_like(cell)] * (x.shape[0] - length)
    return tuple([ops.stack([made[part] for made in steps] + rest) for part in range(7)])
