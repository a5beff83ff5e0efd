"""Files sent ahead, in the bucket of uploads: below a prefix that no event is sent for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookalike.domain.staged import PostForm
from lookalike.errors import Unavailable
from lookalike.ports.staging import StagedFiles
from lookalike.stores.aws.s3_objects import errors_as_unavailable, read_object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Where files lie in the bucket. What is below ``uploads/`` is added by itself; this is not, and a lifecycle rule removes it.
PREFIX = "staged/"


class S3Staging(StagedFiles):
    """Files sent ahead. Whoever sends one needs a form that this store has signed, and no other right.

    Parameters
    ----------
    client : made with :data:`~lookalike.stores.aws.s3_objects.CONFIG`; safe to use from several threads.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def post_form(self, key: str, max_bytes: int, seconds: int) -> PostForm:
        """Sign a form (Amazon S3 API reference, "POST Object"). S3 refuses others, later ones, and larger files."""
        with errors_as_unavailable():
            form = self._client.generate_presigned_post(
                self._bucket, PREFIX + key, Conditions=[["content-length-range", 1, max_bytes]], ExpiresIn=seconds
            )
        return PostForm(form["url"], form["fields"])

    def read(self, key: str) -> bytes | None:
        """Read the file; None if there is none. Raises Unavailable."""
        return read_object(self._client, self._bucket, PREFIX + key)

    def remove(self, key: str) -> None:
        """Delete the file. Raises Unavailable."""
        with errors_as_unavailable():
            self._client.delete_object(Bucket=self._bucket, Key=PREFIX + key)

    def remove_older(self, before: int) -> None:
        """Does nothing: the bucket's lifecycle rule removes them."""


class NoStaging(StagedFiles):
    """Stands where the settings name no bucket for files sent ahead: every use raises Unavailable."""

    def post_form(self, key: str, max_bytes: int, seconds: int) -> PostForm:
        raise _no_bucket()

    def read(self, key: str) -> bytes | None:
        raise _no_bucket()

    def remove(self, key: str) -> None:
        raise _no_bucket()

    def remove_older(self, before: int) -> None:
        """Does nothing: there are none."""


def _no_bucket() -> Unavailable:
    return Unavailable("LOOKALIKE_UPLOADS is not set", remedy="name the bucket of uploads")
