"""Stores of uploaded objects, of what has become of them, and of dead letters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Protocol

from lookalike.domain.picture import Key
from lookalike.domain.upload import DeadLetter, Upload, UploadedObject


class Uploads(Protocol):
    """What uploaded objects have become. Durable on return."""

    @abstractmethod
    def upload(self, source: str) -> Upload | None:
        """What is known of that object."""

    @abstractmethod
    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        """Remember it if what is stored of its source is still ``known`` (None: nothing).

        Sequencer, state and the holding's ``added`` tell whether it is. Raises RevisionConflict otherwise, and then
        nothing has changed.
        """

    @abstractmethod
    def holders(self, picture: Key) -> Iterator[Upload]:
        """The uploads that hold this picture, in no order.

        One saved before the call is among them. They are read as they are asked for, each as it is then.
        """


class UploadStore(Protocol):
    """Where uploaded objects lie. Every method may raise Unavailable."""

    @abstractmethod
    def head(self, bucket: str, key: str) -> UploadedObject | None:
        """The object as it is now, without its bytes. Raises InvalidArgument if what is said of it cannot be read."""

    @abstractmethod
    def read(self, bucket: str, key: str, etag: str) -> bytes | None:
        """Its bytes; None if it is gone, or is not that one any more."""

    @abstractmethod
    def remove(self, bucket: str, key: str, etag: str) -> None:
        """Take it away if it is still that one."""

    @abstractmethod
    def place(self, bucket: str, key: str) -> str:
        """Where an operator finds the object: a path, or an address."""


class DeadLetters(Protocol):
    """Where messages end that will never succeed. Durable on return."""

    @abstractmethod
    def send(self, letter: DeadLetter) -> None:
        """Keep it for the operator. Raises Unavailable."""
