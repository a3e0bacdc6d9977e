def tf_diagonal_places(rows, columns, low, high, align):
    """For each diagonal from `high` to `low` the places of its elements in a matrix's memory, -1 where it is padded."""
    numbers = list(range(high, low - 1, -1))
    lengths = [min(rows + min(k, 0), columns - max(k, 0)) for k in numbers]
    places = np.full((len(numbers), max(lengths)), -1)
    above, below = align.split("_")
    for index, (k, length) in enumerate(zip(numbers, lengths)):
        left = (k >= 0 and above == "LEFT") or (k <= 0 and below == "LEFT")
        start = 0 if left else max(lengths) - length
        step = np.arange(length)
        places[index, start : start + length] = (step + max(-k, 0)) * columns + step + max(k, 0)
    return places
