"""Worker processes: one framework each, commands in, results out, arrays through files.

A worker is `python -m tf2ms.verify.…_worker`; it reads one JSON command a line and answers with one JSON line. What
goes wrong in a command is an answer too; what kills the process is told from its exit and what it wrote to stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_MESSAGE_LINES = 6


class WorkerError(Exception):
    """A command failed in its worker, or the worker died. `layer` is where, if that is known."""

    def __init__(self, side: str, message: str, layer: str | None = None):
        self.side, self.message, self.layer = side, message, layer
        super().__init__(f"{side}: {message}")


class Worker:
    """A framework in a process of its own."""

    def __init__(self, side: str, module: str, folder: Path, python: str | None = None, **environment: str):
        """Starts `python -m module`.

        Args:
            side: what messages call it, "TensorFlow" or "MindSpore".
            module: the worker's module.
            folder: where its log goes.
            python: the interpreter; this one by default.
            environment: variables to set for it.
        """
        self.side = side
        self._log = folder / f"{module.rpartition('.')[2]}_{len(list(folder.iterdir()))}.log"
        variables = {**os.environ, **environment, "PYTHONPATH": _python_path(folder, python)}
        try:
            self._process = subprocess.Popen(
                [python or sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log.open("w"),
                text=True,
                encoding="utf-8",
                cwd=folder,
                env=variables,
            )
        except OSError as error:
            raise WorkerError(side, f"{python} cannot be started: {error.strerror or error}") from error

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send(self, command: str, **arguments: Any) -> None:
        """Sends a command without waiting for its result."""
        stdin: IO[str] = self._process.stdin  # type: ignore[assignment]
        try:
            stdin.write(json.dumps({"command": command, "arguments": arguments}) + "\n")
            stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._death() from None

    def receive(self) -> Any:
        """The result of the command sent before. Raises: WorkerError."""
        stdout: IO[str] = self._process.stdout  # type: ignore[assignment]
        line = stdout.readline()
        if not line:
            raise self._death()
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(self.side, answer["error"]["message"], answer["error"]["layer"])
        return answer["result"]

    def call(self, command: str, **arguments: Any) -> Any:
        """Sends a command and waits for its result. Raises: WorkerError."""
        self.send(command, **arguments)
        return self.receive()

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):  # it is gone already
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _death(self) -> WorkerError:
        code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        lines = [line for line in self._log.read_text("utf-8", "replace").splitlines() if line.strip()]
        return WorkerError(self.side, "\n".join([f"the process died ({how})", *lines[-_MESSAGE_LINES:]]))


def _python_path(folder: Path, python: str | None) -> str:
    """A search path that gives another interpreter this package and nothing else of this one's."""
    package = Path(__file__).resolve().parent.parent
    if python is None or python == sys.executable:
        return os.pathsep.join([str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = folder / "python_path"
    own.mkdir(exist_ok=True)
    link = own / package.name
    if not link.exists():
        link.symlink_to(package, target_is_directory=True)
    return str(own)


# -- in the worker -----------------------------------------------------------------------------------------------------

Handler = Callable[..., Any]


def serve(handlers: Mapping[str, Handler], layer_of: Callable[[Exception], str | None]) -> None:
    """Answers commands from stdin until it ends.

    `layer_of` tells where a failure happened. What the framework prints goes to stderr: stdout is for answers.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": handlers[request["command"]](**request["arguments"])}
        except Exception as error:  # noqa: BLE001  # the boundary: whatever a run dies of is its result
            answer = {"error": {"message": _first_lines(error), "layer": layer_of(error)}}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _first_lines(error: Exception) -> str:
    lines = [line.rstrip() for line in str(error).splitlines() if line.strip("- \t")]
    return "\n".join([f"{type(error).__name__}: {lines[0] if lines else ''}", *lines[1:_MESSAGE_LINES]])
