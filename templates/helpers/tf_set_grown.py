def tf_set_grown(items, index, value):
    """The list with one item replaced, longer where it has no such item yet."""
    items = items + [None] * (int(index) + 1 - len(items))
    items[int(index)] = value
    return items
