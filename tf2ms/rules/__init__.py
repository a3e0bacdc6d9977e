"""The rule table: one row for each TensorFlow op, in the file of its family.

What is exported here is all that a rule file of one's own needs (docs/rules.md).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf2ms.layout import any_order, keeps_order
    from tf2ms.rules.op import Expression, NoForm, Op
    from tf2ms.rules.registry import elementwise, no_form, rule

__all__ = ["Expression", "NoForm", "Op", "any_order", "elementwise", "keeps_order", "no_form", "rule"]

_HOMES = {
    "tf2ms.layout": ("any_order", "keeps_order"),
    "tf2ms.rules.op": ("Expression", "NoForm", "Op"),
    "tf2ms.rules.registry": ("elementwise", "no_form", "rule"),
}


def __getattr__(name: str) -> Any:
    """Looks a name up when it is asked for: the split stage reads the table of optimizers, and rules read its types."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
