"""Downloads."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class Fetcher(Protocol):
    """Downloads from callers' URLs; never connects to an address that is not public."""

    @abstractmethod
    def __call__(self, url: str, max_bytes: int) -> bytes:
        """Return the body, at most ``max_bytes`` long. Raises a UrlError."""
