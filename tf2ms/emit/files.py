"""Writing the project: whole or not at all, and never over a user's edits."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tf2ms.emit.checkpoint import write_checkpoint
from tf2ms.errors import OutputError


def write_files(
    folder: Path,
    stem: str,
    code: str,
    mapping: Mapping[str, Any],
    weights: Mapping[str, np.ndarray] | None,
    force: bool,
) -> list[Path]:
    """Writes the generated files into `folder` and returns their paths.

    Everything is written beside its place first and then moved there, so a failure leaves what was there before.

    Raises: OutputError if the folder cannot be written, or the module there was edited since it was generated.
    """
    module, map_file, checkpoint = (folder / f"{stem}{end}" for end in ("_ms.py", ".map.json", ".ckpt"))
    text = json.dumps({**mapping, "sha256": _hash(code.encode())}, indent=1, ensure_ascii=True) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not force:
            _refuse_edited(module, map_file)
        with tempfile.TemporaryDirectory(prefix=".tf2ms_", dir=folder) as staging:
            ready = [(Path(staging) / "module", module), (Path(staging) / "map", map_file)]
            ready[0][0].write_text(code, encoding="utf-8", newline="\n")
            ready[1][0].write_text(text, encoding="utf-8", newline="\n")
            if weights is not None:
                ready.append((Path(staging) / "checkpoint", checkpoint))
                write_checkpoint(ready[2][0], weights)
            for staged, target in ready:
                if target.is_dir():
                    raise IsADirectoryError(None, f"'{target.name}' there is a folder")
                os.chmod(staged, 0o666 & ~_umask())
            for staged, target in ready:
                os.replace(staged, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write into '{folder}': {reason}; choose another folder with -o") from error
    return [target for _, target in ready]


def _refuse_edited(module: Path, map_file: Path) -> None:
    """Raises OutputError if the module is there and is not what its map file says was generated."""
    if not module.exists():
        return
    try:
        recorded = json.loads(map_file.read_text(encoding="utf-8")).get("sha256")
    except (OSError, ValueError, AttributeError):
        recorded = None
    if recorded != _hash(module.read_bytes()):
        raise OutputError(f"'{module}' was edited since it was generated; --force overwrites it, -o writes elsewhere")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
