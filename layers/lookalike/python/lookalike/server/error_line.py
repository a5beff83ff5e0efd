"""Errors in the words of a line, for whoever typed a command; imports nothing else, as every command imports it."""

from __future__ import annotations

from lookalike.errors import LookalikeError, StateError


def told(error: LookalikeError) -> str:
    """Return an error in one line for whoever typed a command: of a library's state the message is a name alone."""
    if not isinstance(error, StateError):
        return str(error)
    return f"{error.explanation}; {error.remedy}" if error.remedy else error.explanation
