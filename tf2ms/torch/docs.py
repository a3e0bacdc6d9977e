"""The page of the table."""

from __future__ import annotations

from tf2ms.torch import table

_TITLES = {
    "types": "Dtypes, types and devices",
    "layers": "Modules",
    "functions": "Functions",
    "functional": "torch.nn.functional",
    "tensor": "Tensor methods",
    "losses": "Losses",
    "initializers": "Initialisers",
    "optimizers": "Optimizers and schedulers",
    "training": "Training",
    "data": "Data",
    "vision": "torchvision",
}


def page() -> str:
    """The table as Markdown, made from the rows."""
    rows = list(table.rows())
    tested = sum(bool(row.examples) for row in rows)
    lines = [
        "# PyTorch APIs",
        "",
        "Made from the table by `tf2ms torch-apis --markdown`; a test keeps it current.",
        "",
        f"{len(rows)} rows, {tested} of them with examples that run in both frameworks.",
    ]
    for family in table.FAMILIES:
        members = [row for row in rows if row.family == family]
        lines += ["", f"## {_TITLES[family]}", "", "| PyTorch | MindSpore | Tests | Remark |", "|---|---|---|---|"]
        for row in members:
            remark = "; ".join(filter(None, (row.note, row.devices, "" if row.examples else row.untested)))
            cells = (f"`{row.name}`", f"`{row.target}`" if row.target else "", str(len(row.examples)), remark)
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
