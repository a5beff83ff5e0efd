"""Originals and uploads in S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import TYPE_CHECKING
from urllib.parse import unquote

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lookalike.domain.upload import UploadedObject
from lookalike.errors import InvalidArgument, Unavailable
from lookalike.ports import PictureStore, UploadStore
from lookalike.stores.aws.circuit_breaker import Breaker

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: How the client should be made. A picture is a few megabytes inside one region: seconds without a byte are a fault,
#: and a second try beats waiting; all tries together stay well below the 30 s that API Gateway waits. The SDK checks
#: what is put and got by its checksum.
CONFIG = Config(
    connect_timeout=1,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=32,
    request_checksum_calculation="when_supported",
    response_checksum_validation="when_supported",
)

#: Objects that one DeleteObjects call takes (Amazon S3 API reference).
_MOST_DELETED = 1000

_GONE = frozenset({"404", "NoSuchKey", "NoSuchVersion"})
_CHANGED = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict"})


class S3Store(PictureStore):
    """Originals, an object each.

    An object's key is the first part of the picture's, its library, and the SHA-256 of the rest: that holds callers'
    ids, which may be longer than a key may be, or hold what XML cannot say. The bucket encrypts.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._reading = Breaker("S3")

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``, replacing what was there. Raises Unavailable."""
        with _unavailable():
            self._client.put_object(Bucket=self._bucket, Key=_name(key), Body=data)

    def get(self, key: str) -> bytes | None:
        """What is kept there. Raises Unavailable, at once where S3 has not answered again and again of late."""
        with self._reading.guard(), _unavailable():
            try:
                return self._client.get_object(Bucket=self._bucket, Key=_name(key))["Body"].read()
            except ClientError as error:
                if _code(error) in _GONE:
                    return None
                raise

    def remove(self, keys: Sequence[str]) -> None:
        """Forget them; unknown keys do not matter. Raises Unavailable once all that could be removed are."""
        names = list(dict.fromkeys(_name(key) for key in keys))
        refused: list[str] = []
        for begin in range(0, len(names), _MOST_DELETED):
            batch = names[begin : begin + _MOST_DELETED]
            with _unavailable():
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": name} for name in batch], "Quiet": True}
                )
            refused += [error.get("Code", "?") for error in answer.get("Errors", [])]
        refused = [code for code in refused if code not in _GONE]
        if refused:
            raise Unavailable(
                f"S3 did not remove {len(refused)} of {len(names)} objects: {', '.join(sorted({*refused}))}"
            )


class S3Uploads(UploadStore):
    """Uploaded objects.

    Without the right to list the bucket, S3 answers 403 for an object that is gone, which looks like a fault.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    """

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def head(self, bucket: str, key: str) -> UploadedObject | None:
        """The object as it is now, without its bytes. Its words are its metadata (``x-amz-meta-…``).

        Raises Unavailable, also if there is no such bucket; InvalidArgument if a word of its metadata cannot be
        read.
        """
        with _unavailable():
            try:
                answer = self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if _code(error) not in _GONE:
                    raise
                self._require(bucket)
                return None
        return UploadedObject(answer["ETag"].strip('"'), answer["ContentLength"], words(answer.get("Metadata", {})))

    def _require(self, bucket: str) -> None:
        """Raise Unavailable if there is no such bucket, which the answer to a HEAD for an object does not tell."""
        try:
            self._client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if _code(error) in _GONE:
                raise Unavailable(f"S3: there is no bucket {bucket}") from error
            raise

    def read(self, bucket: str, key: str, etag: str) -> bytes | None:
        """Its bytes; None if it is gone, or is not that one any more. Raises Unavailable."""
        with _unavailable():
            try:
                return self._client.get_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')["Body"].read()
            except ClientError as error:
                if _code(error) in _GONE | _CHANGED:
                    return None
                raise

    def remove(self, bucket: str, key: str, etag: str) -> None:
        """Take it away if it is still that one. Raises Unavailable.

        The same bytes put again meanwhile count as that one: then nothing but their newer metadata is lost.
        """
        with _unavailable():
            try:
                self._client.delete_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')
            except ClientError as error:
                if _code(error) not in _GONE | _CHANGED:
                    raise

    def place(self, bucket: str, key: str) -> str:
        """Where an operator finds the object: its address."""
        return f"s3://{bucket}/{key}"


def words(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata as text. Headers are ASCII: anything else is percent-encoded UTF-8, as this service asks for it, or
    RFC 2047, as S3 hands out what was put in other ways (Amazon S3 user guide, "User-defined object metadata").

    Raises InvalidArgument if a value is neither.
    """
    return {name.lower(): _word(name, value) for name, value in metadata.items()}


def _word(name: str, value: str) -> str:
    try:
        if value.startswith("=?") and value.endswith("?="):
            return str(make_header(decode_header(value)))
        return unquote(value, errors="strict")
    except (HeaderParseError, LookupError, ValueError) as reason:
        raise InvalidArgument(name, "neither percent-encoded UTF-8 nor RFC 2047") from reason


def _name(key: str) -> str:
    library, _, rest = key.partition("/")
    return f"{library}/{hashlib.sha256(rest.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


@contextmanager
def _unavailable() -> Iterator[None]:
    """Whatever else S3 or the way there answers is a fault that may pass."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"S3: {error}") from error
