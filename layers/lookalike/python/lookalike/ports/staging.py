"""The store of files that callers send ahead of the call that uses them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from lookalike.domain.staged import PostForm


class StagedFiles(Protocol):
    """Files sent ahead, each for one call, under keys of :class:`~lookalike.domain.staged.StagedId`.

    Every method may raise :class:`~lookalike.errors.Unavailable`.
    """

    @abstractmethod
    def post_form(self, key: str, max_bytes: int, seconds: int) -> PostForm | None:
        """Return a form by which anybody may send the file within ``seconds``, of 1 to ``max_bytes``.

        None: the store takes no files from outside, and the service has to take them itself.
        """

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """Return the file; None if there is none."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove the file; an unknown key is ignored."""

    @abstractmethod
    def remove_older(self, before: int) -> None:
        """Remove files that were last written before that Unix millisecond, if the store does not do so by itself."""
