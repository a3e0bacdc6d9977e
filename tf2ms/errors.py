"""The one family of errors: what went wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class Tf2msError(Exception):
    """Base of every error the user can meet; the command line prints it and exits with `exit_code`."""

    exit_code = 1


class SourceError(Tf2msError):
    """The input cannot be read: missing, not a graph, truncated, too large, wrong kind of weights."""


class GraphError(Tf2msError):
    """The graph was read but makes no sense: dangling input, cycle, no such tensor, ambiguous loss."""


class OutputError(Tf2msError):
    """The output cannot be written: folder not writable, or a file there was edited since."""


class VerifyError(Tf2msError):
    """MindSpore and TensorFlow disagree by more than the bar allows."""

    exit_code = 3


@dataclass(frozen=True)
class Unsupported:
    """One op type (or construct) that has no MindSpore form: every node of it, why, and what to do."""

    op: str
    nodes: tuple[str, ...]
    reason: str


class UnsupportedOpError(Tf2msError):
    """Everything in the graph that cannot be converted, all at once."""

    def __init__(self, items: Sequence[Unsupported]):
        self.items = tuple(items)
        super().__init__(self._message())

    def _message(self) -> str:
        """What the user reads: how many, which, and the way on."""
        count = len(self.items)
        head = f"{count} op type{'s have' if count != 1 else ' has'} no MindSpore form; nothing was written"
        return f"{head}\n{self.table()}\nor write the rest with --allow-unsupported"

    def table(self) -> str:
        """One line for each op type: count, first nodes, reason."""
        rows = [
            (
                item.op,
                f"{len(item.nodes)} node{'s' if len(item.nodes) != 1 else ''}",
                ", ".join(item.nodes[:3]) + (", …" if len(item.nodes) > 3 else ""),
                item.reason,
            )
            for item in self.items
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:3]
        return "\n".join(
            "  " + "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[3]])
            for row in rows
        )
