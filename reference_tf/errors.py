"""The error that a user of `reference_tf` can meet."""

from __future__ import annotations


class UserError(Exception):
    """The user's input makes no sense: a bad line, a missing picture, a folder that cannot be written.

    The command line prints the message and exits with 1; the message says what, where and what to do next.
    """
