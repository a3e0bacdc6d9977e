def tf_sampling_weights(source, target, scale, translation, kernel, antialias):
    """What each of `source` rows counts in each of `target` rows, as in tf.image.resize with antialias."""
    window = {"lanczos1": 1, "lanczos3": 3, "lanczos5": 5, "gaussian": 1.5, "box": 1, "triangle": 1}.get(kernel, 2)
    stretch = max(1 / scale, 1) if antialias else 1
    place = (np.arange(target)[:, None] + 0.5 - translation) / scale
    x = np.abs((np.arange(source) + 0.5 - place) / stretch)
    if kernel.startswith("lanczos"):
        weights = np.sinc(x) * np.sinc(x / window)
    elif kernel == "gaussian":
        weights = np.exp(-2 * x * x)
    elif kernel == "box":
        weights = np.where(x == 0.5, 0.5, x < 0.5)
    elif kernel == "triangle":
        weights = 1 - x
    elif kernel == "keyscubic":
        weights = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2)
    else:
        near, far = (7 / 6 * x - 2) * x * x + 8 / 9, ((2 - 7 / 18 * x) * x - 10 / 3) * x + 16 / 9
        weights = np.where(x < 1, near, far)
    weights = np.where((x < window) & (place >= 0) & (place <= source), weights, 0)
    total = weights.sum(1, keepdims=True)
    return ms.Tensor(weights / np.where(total == 0, 1, total), ms.float32)
