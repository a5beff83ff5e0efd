"""The fetcher, imported by its first download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookalike.once import once
from lookalike.ports import Fetcher

if TYPE_CHECKING:
    from lookalike.download.fetcher import SafeFetcher
    from lookalike.download.public_addresses import Network


class LazyFetcher(Fetcher):
    """A SafeFetcher that its first use makes, of the same arguments: it reads heads of pictures, so it needs Pillow."""

    def __init__(self, *, seconds: float, redirects: int, allow: tuple[Network, ...]) -> None:
        self._seconds, self._redirects, self._allow = seconds, redirects, allow

    @once
    def loaded(self) -> SafeFetcher:
        """The fetcher itself."""
        from lookalike.download.fetcher import SafeFetcher  # noqa: PLC0415 - few functions need it

        return SafeFetcher(seconds=self._seconds, redirects=self._redirects, allow=self._allow)

    def __call__(self, url: str, max_bytes: int) -> bytes:
        return self.loaded(url, max_bytes)
