"""Downloads."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class Fetcher(Protocol):
    """Downloads what a caller's URL points at, and never touches an address that is not public."""

    @abstractmethod
    def __call__(self, url: str, max_bytes: int) -> bytes:
        """The body. Raises a UrlError."""
