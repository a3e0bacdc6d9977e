def tf_set_item(items, index, value):
    """The list or tensor with one item replaced, the old one left as it was."""
    items = items.copy()
    items[index] = value
    return items
