"""What a conversion did, line by line."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, order=True)
class Item:
    """One place of a file.

    kind: "converted", "attention" (left as it was, or to be looked at) or "note" (a known difference).
    """

    line: int
    kind: str
    source: str
    target: str = ""
    reason: str = ""
    suggestion: str = ""


@dataclass(frozen=True)
class FileReport:
    """The items of one file."""

    path: str
    items: tuple[Item, ...] = field(default=())

    def of(self, kind: str) -> list[Item]:
        """The items of one kind, by line, each once."""
        return sorted({item for item in self.items if item.kind == kind})

    def summary(self) -> str:
        """The lines that the command prints."""
        attention, notes = self.of("attention"), self.of("note")
        lines = [f"{self.path}: {len(self.of('converted'))} places converted, {len(attention)} need attention"]
        for item in attention:
            lines.append(f"  line {item.line}: {item.source}: {item.reason}")
            if item.suggestion:
                lines.append(f"    {item.suggestion}")
        lines += [f"  note: {text}" for text in sorted({f"{i.source}: {i.reason}" for i in notes})]
        return "\n".join(lines)


def to_json(files: Sequence[FileReport]) -> str:
    """The report for programs."""
    return json.dumps({"files": [asdict(file) for file in files]}, indent=2, sort_keys=True) + "\n"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem; vertical-align: top }
tr { border-top: 1px solid #ddd } code { font: 13px ui-monospace, monospace } .attention { background: #fff4d6 }
.note { color: #555 }
"""


def to_html(files: Sequence[FileReport]) -> str:
    """The report as one page without scripts; everything from the user's files is escaped."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>tf2ms torch</title>',
        f"<style>{_STYLE}</style></head><body><h1>PyTorch to MindSpore</h1>",
    ]
    for file in files:
        counts = f"{len(file.of('converted'))} converted, {len(file.of('attention'))} need attention"
        parts.append(f"<h2><code>{html.escape(file.path)}</code></h2><p>{counts}</p>")
        parts.append("<table><tr><th>Line</th><th>PyTorch</th><th>MindSpore</th><th>Remark</th></tr>")
        for item in sorted(set(file.items)):
            remark = html.escape(" ".join(filter(None, (item.reason, item.suggestion))))
            parts.append(
                f'<tr class="{html.escape(item.kind)}"><td>{item.line}</td>'
                f"<td><code>{html.escape(item.source)}</code></td>"
                f"<td><code>{html.escape(item.target)}</code></td><td>{remark}</td></tr>"
            )
        parts.append("</table>")
    parts.append("</body></html>")
    return "\n".join(parts) + "\n"
