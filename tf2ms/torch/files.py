"""Files in, files out: everything is converted before anything is written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tf2ms.errors import OutputError, SourceError
from tf2ms.torch.convert import MAX_BYTES

MANIFEST = ".tf2ms-torch.json"


def read_sources(paths: Iterable[Path]) -> tuple[dict[str, str], dict[str, Path]]:
    """The text of files and folders by their path in the output, and where each was found.

    A file keeps its name, a folder its name and everything that ends with .py below it.

    Raises: SourceError for what cannot be read.
    """
    sources: dict[str, str] = {}
    found: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            name = path.resolve().name
            files = [(str(Path(name) / p.relative_to(path)), p) for p in sorted(path.rglob("*.py")) if p.is_file()]
            if not files:
                raise SourceError(f"{path}: no Python files in this folder")
        else:
            files = [(path.name, path)]
        for key, file in files:
            if key in sources:
                raise SourceError(f"{file}: a file {key} was given already; convert them apart")
            sources[key], found[key] = _read(file), file
    return sources, found


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceError(f"{path}: larger than {MAX_BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        import tokenize

        with path.open("rb") as stream:
            encoding, _ = tokenize.detect_encoding(stream.readline)
        if encoding.lower().replace("_", "-") not in ("utf-8", "utf-8-sig", "ascii"):
            raise SourceError(f"{path}: encoded as {encoding}; save it as UTF-8")
        return data.decode("utf-8-sig")
    except (UnicodeDecodeError, SyntaxError) as error:
        raise SourceError(f"{path}: not UTF-8 text: {error}") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_files(folder: Path, texts: Mapping[str, str], sources: Iterable[Path] = (), force: bool = False) -> None:
    """Writes all files, or none: each under a temporary name first, then all renamed.

    A file that exists and is not as it was written last time stays, unless `force`.

    Raises: OutputError.
    """
    manifest = _manifest(folder)
    originals = {p.resolve() for p in sources}
    edited = []
    for name in texts:
        target = folder / name
        if target.resolve() in originals:
            raise OutputError(f"{target} is the file that is converted; choose another folder with -o")
        if (
            target.exists()
            and not force
            and _digest(target.read_bytes())
            not in (
                manifest.get(name),
                _digest(texts[name].encode()),
            )
        ):
            edited.append(name)
    if edited:
        raise OutputError(
            f"{folder}: edited since it was written, or not written by this command: {', '.join(sorted(edited))}; "
            "nothing was written; overwrite with --force"
        )
    ready: list[tuple[Path, Path]] = []
    try:
        for name, text in texts.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(target.name + ".part")
            part.write_bytes(text.encode())
            ready.append((part, target))
            manifest[name] = _digest(text.encode())
        part = folder / (MANIFEST + ".part")
        part.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        ready.append((part, folder / MANIFEST))
        for part, target in ready:
            os.replace(part, target)
    except OSError as error:
        for part, _ in ready:
            part.unlink(missing_ok=True)
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error


def _manifest(folder: Path) -> dict[str, str]:
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in data.items()} if isinstance(data, dict) else {}
