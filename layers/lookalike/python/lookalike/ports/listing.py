"""What stands in for a store, and need not list what it holds."""

from __future__ import annotations


def not_listed(store: object) -> NotImplementedError:
    """Return the error of a store that is asked to list what it holds, and cannot."""
    return NotImplementedError(f"{type(store).__name__} does not list what it holds")
