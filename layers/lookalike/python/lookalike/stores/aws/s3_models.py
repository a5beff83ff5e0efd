"""Models in the bucket of originals."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import ModelError
from lookalike.ports import ModelFiles
from lookalike.stores.aws.s3_objects import errors_as_unavailable, read_object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What the names of the models' objects begin with. No original's does.
PREFIX = "models/"

#: A card's digest.
_CARD = re.compile("[0-9a-f]{16}")

#: The files of a model. The card is written last, so that a model without one is not whole.
_NAMES = ("model.onnx", "codebooks.npz", "card.json")


class S3Models(ModelFiles):
    """Keeps each model's files as objects, and gets them once a process into a folder of its own.

    Parameters
    ----------
    client : made with :data:`~lookalike.stores.aws.s3_objects.CONFIG`; safe to use from several threads.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._lock = threading.Lock()
        self._here: Path | None = None

    def keep(self, card: str, files: Mapping[str, bytes]) -> None:
        for name in _NAMES:
            with errors_as_unavailable():
                self._client.put_object(Bucket=self._bucket, Key=_object(card, name), Body=files[name])

    def folder(self, card: str) -> Path:
        _object(card, "")  # no other text names a folder
        with self._lock:
            if self._here is None:
                self._here = Path(tempfile.mkdtemp(prefix="lookalike-models-"))
                weakref.finalize(self, shutil.rmtree, self._here, ignore_errors=True)
            place = self._here / card
            if not (place / _NAMES[-1]).is_file():
                place.mkdir(exist_ok=True)
                for name in _NAMES:
                    (place / name).write_bytes(self._get(card, name))
        return place

    def remove(self, card: str) -> None:
        for name in reversed(_NAMES):
            with errors_as_unavailable():
                self._client.delete_object(Bucket=self._bucket, Key=_object(card, name))

    def _get(self, card: str, name: str) -> bytes:
        data = read_object(self._client, self._bucket, _object(card, name))
        if data is None:
            raise ModelError(f"s3://{self._bucket}/{_object(card, name)}: the model's file is missing")
        return data


def _object(card: str, name: str) -> str:
    if _CARD.fullmatch(card) is None:
        raise ModelError(f"{card!r}: no card's digest")
    return f"{PREFIX}{card}/{name}"
