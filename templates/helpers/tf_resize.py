def tf_resize(items, length):
    """The list cut off or filled up to `length`."""
    return items[:length] + [None] * (length - len(items))
