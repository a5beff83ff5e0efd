"""Stores of uploaded objects, of the records kept of them, and of dead letters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Protocol

from lookalike.domain.picture import Key
from lookalike.domain.upload import DeadLetter, Upload, UploadedObject


class Uploads(Protocol):
    """Records of uploaded objects. Writes are durable on return."""

    @abstractmethod
    def upload(self, source: str) -> Upload | None:
        """Return the record of that object; None if there is none."""

    @abstractmethod
    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        """Store the record in place of ``known`` (None: of no record).

        Sequencer, state and the holding's ``added`` tell whether ``known`` is still stored. Raises RevisionConflict if it
        is not; nothing has changed then.
        """

    @abstractmethod
    def holders(self, picture: Key) -> Iterator[Upload]:
        """Iterate over the uploads that hold this picture, in no order; each is read when the iterator reaches it.

        Every record saved before the call is among them, unless it has changed since.
        """


class UploadStore(Protocol):
    """Uploaded objects. Every method may raise Unavailable."""

    @abstractmethod
    def head(self, bucket: str, key: str) -> UploadedObject | None:
        """Return the object without its bytes; None if it is gone. Raises InvalidArgument for unreadable metadata."""

    @abstractmethod
    def read(self, bucket: str, key: str, etag: str) -> bytes | None:
        """Return the object's bytes; None if it is gone, or has another ETag."""

    @abstractmethod
    def remove(self, bucket: str, key: str, etag: str) -> None:
        """Remove the object if it still has that ETag."""

    @abstractmethod
    def place(self, bucket: str, key: str) -> str:
        """Return the path or address under which an operator finds the object."""


class DeadLetters(Protocol):
    """Messages that cannot succeed. Durable on return."""

    @abstractmethod
    def send(self, letter: DeadLetter) -> None:
        """Store the letter for the operator. Raises Unavailable."""
