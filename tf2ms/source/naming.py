"""Names: what a path suggests for the model, what a checkpoint's keys end with."""

from __future__ import annotations

import re
from pathlib import Path

OBJECT_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
"""What ends a variable's key in an object-based checkpoint."""

_SUFFIX = re.compile(
    r"(?:\.(?:pb|pbtxt|prototxt|txt|meta|index|ckpt|keras|h5|hdf5)|\.ckpt-\d+|\.data-\d+-of-\d+)$", re.IGNORECASE
)
_MEANINGLESS = re.compile(
    r"ckpts?|checkpoints?|data|def|eval|events?|export(ed|s)?|final|freeze|frozen|graphs?|inference|inputs?|keras|logdir|"
    r"logs?|meta|models?|net|network|optimized|outputs?|out|pb|predict|results?|runs?|saved?|saves|serving|shapes|"
    r"summary|summaries|tensorboard|tests?|tf|tfevents|train|training|v|val|validation|variables|weights|"
    r"desktop|documents|downloads|home|mnt|root|src|te?mp|users?|var|work|workspace|"
)


def suggested_name(path: Path) -> str | None:
    """The file's or folder's name without its endings if that says something, else the parent folder's, else None.

    >>> [suggested_name(Path(name)) for name in ("posenet.ckpt-3000.meta", "posenet/logs", "frozen_graph.pb")]
    ['posenet', 'posenet', None]
    """
    return _meaning(path.name) or _meaning(path.parent.name)


def _meaning(name: str) -> str | None:
    while _SUFFIX.search(name):
        name = _SUFFIX.sub("", name)
    if "tfevents" in name or name.startswith(("tmp", ".")):
        return None
    words = re.split(r"[\W\d_]+", name.lower())
    return None if all(_MEANINGLESS.fullmatch(word) for word in words) else name
