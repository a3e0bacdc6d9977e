"""Weights for variables without names: all that a traced function says of what it is handed is its shape."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from tf2ms.errors import SourceError
from tf2ms.source.weights import Weights

Shape = tuple[int, ...]
_NOT_THE_MODEL = re.compile(
    r"(^|/)(\w*optimizer/_(variables|iterations|learning_rate|current_\w+)(/|$)|save_counter$)"
    r"|\.OPTIMIZER_SLOT/|/(Adam|Momentum|RMSProp|Adagrad|Ftrl)(_\d+)?$"
)


def matched(stored: Weights, wanted: Mapping[str, Shape]) -> Weights:
    """`stored`, its arrays also under the names in `wanted`, which are those that a trace gives its variables.

    `wanted` gives shapes. A variable that has no array of its name has the one of its shape, if it is the only variable
    and that the only array of it; which of several is meant nobody knows. Raises SourceError that lists those.
    """
    if not wanted:
        return stored
    left = {name: shape for name, shape in wanted.items() if name not in stored}
    arrays = {key: np.asarray(stored[key]) for key in stored.keys_of_file if not _NOT_THE_MODEL.search(key)}
    keys, names = defaultdict(list), defaultdict(list)
    for key, array in arrays.items():
        keys[array.shape].append(key)
    for name, shape in left.items():
        names[shape].append(name)
    unsure = [shape for shape in names if len(names[shape]) > 1 or len(keys[shape]) != 1]
    if unsure:
        lines = [f"{list(shape)}: {_some(names[shape])} may be any of {_some(keys[shape])}" for shape in unsure]
        raise SourceError(
            "a trace does not say what its variables are called, and shapes alone do not tell these apart:\n  "
            + "\n  ".join(lines)
            + "\ngive the SavedModel (model.export or tf.saved_model.save), or an .npz under the names on the left"
        )
    return stored.renamed({names[shape][0]: keys[shape][0] for shape in names})


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "") if names else "none of the checkpoint's"
