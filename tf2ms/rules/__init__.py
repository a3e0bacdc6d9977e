"""The rule table: one row for each TensorFlow op, in the file of its family.

What is exported here is all that a rule file of one's own needs (docs/rules.md).
"""

from tf2ms.layout import any_order, keeps_order
from tf2ms.rules.op import Expression, NoForm, Op
from tf2ms.rules.registry import elementwise, no_form, rule

__all__ = ["Expression", "NoForm", "Op", "any_order", "elementwise", "keeps_order", "no_form", "rule"]
