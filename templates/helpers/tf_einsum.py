def tf_einsum(equation, x, y=None):
    """The sum of products that the equation names, by one matrix product, as tf.einsum."""
    sources, target = equation.split("->")
    tensors = [x] if y is None else [x, y]
    terms = []
    for labels, tensor in zip(sources.split(","), tensors):
        hidden = len(tensor.shape) - len(labels.replace("...", ""))
        terms.append(labels.replace("...", "ABCDEFGH"[8 - hidden :]))
    hidden = max(len(term) - len(labels.replace("...", "")) for term, labels in zip(terms, sources.split(",")))
    target = target.replace("...", "ABCDEFGH"[8 - hidden :])
    for index, term in enumerate(terms):
        alone = [
            label for label in term if label not in target and label not in "".join(terms[:index] + terms[index + 1 :])
        ]
        if alone:
            tensors[index] = ops.reduce_sum(tensors[index], tuple(term.index(label) for label in alone))
            terms[index] = "".join(label for label in term if label not in alone)
    if y is None:
        return (
            ops.transpose(tensors[0], tuple(terms[0].index(label) for label in target))
            if len(target) > 1
            else tensors[0]
        )
    left, right = terms
    batch = [label for label in target if label in left and label in right]
    inner = [label for label in left if label in right and label not in target]
    rows, columns = [[label for label in term if label not in batch + inner] for term in terms]
    sizes = {
        label: size for term, tensor in zip(terms, tensors) for label, size in zip(term, tensor.shape) if size != 1
    }
    moved = []
    for term, tensor, order in ((left, tensors[0], batch + rows + inner), (right, tensors[1], batch + inner + columns)):
        tensor = ops.transpose(tensor, tuple(term.index(label) for label in order)) if len(order) > 1 else tensor
        moved.append(ops.broadcast_to(tensor, tuple(sizes.get(label, 1) for label in order)) if order else tensor)
    counts = [int(np.prod([sizes.get(label, 1) for label in labels])) for labels in (batch, rows, inner, columns)]
    a = moved[0].reshape(counts[0], counts[1], counts[2])
    b = moved[1].reshape(counts[0], counts[2], counts[3])
    made = batch + rows + columns
    product = (ops.matmul(a, b) if inner else a * b).reshape(tuple(sizes.get(label, 1) for label in made))
    return ops.transpose(product, tuple(made.index(label) for label in target)) if len(target) > 1 else product
