"""Formatting by ruff, so that the file looks as its owner's own tools would leave it."""

from __future__ import annotations

import subprocess

from ruff.__main__ import find_ruff_bin

LINE_LENGTH = 120
"""What MindSpore's own sources keep to."""


def format_python(text: str) -> str:
    """The text formatted; `LINE_LENGTH` columns, no configuration of the user's read.

    Raises: RuntimeError if the text is not Python, which is a defect of the emitter.
    """
    command = [find_ruff_bin(), "format", "--isolated", f"--line-length={LINE_LENGTH}", "--stdin-filename=a.py", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"the generated file is not valid Python: {done.stderr.strip()}")
    return done.stdout
