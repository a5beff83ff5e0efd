"""Originals and uploaded objects in S3."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import TYPE_CHECKING
from urllib.parse import unquote

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lookalike.domain.inventory import StoredFile
from lookalike.domain.upload import UploadedObject
from lookalike.errors import InvalidArgument, Unavailable
from lookalike.ports import PictureStore, UploadStore
from lookalike.stores.aws.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Configuration of the client. A picture is a few megabytes within one region: seconds without a byte are a fault, and
#: a retry is better than waiting. All attempts together stay well below API Gateway's timeout of 30 s. The SDK verifies
#: checksums both ways. What it signs for others names the region's own host, which knows a bucket from its first minute.
CONFIG = Config(
    connect_timeout=1,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=32,
    request_checksum_calculation="when_supported",
    response_checksum_validation="when_supported",
    signature_version="s3v4",
    s3={"us_east_1_regional_endpoint": "regional"},
)

#: Objects of one DeleteObjects call (Amazon S3 API reference).
_MAX_DELETED = 1000

#: Error codes of an object, version or bucket that does not exist.
NOT_FOUND_CODES = frozenset({"404", "NoSuchKey", "NoSuchVersion"})

#: Error codes of an object that was replaced since its ETag was read.
_PRECONDITION_CODES = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict"})

#: Names of the objects of keys.
_OBJECT_NAME = re.compile(r"[^/]*/[0-9a-f]{64}")


class S3Store(PictureStore):
    """Originals, an object each. The bucket encrypts them.

    An object's name is the library's uid and the SHA-256 of the rest of the key. The rest contains callers' ids, which
    may be longer than an object's name or contain characters that XML cannot express.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._read_breaker = CircuitBreaker("S3")

    def put(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key``, replacing an older object. Raises Unavailable."""
        with errors_as_unavailable():
            self._client.put_object(Bucket=self._bucket, Key=_object_name(key), Body=data)

    def get(self, key: str) -> bytes | None:
        """Read an object; None if there is none. Raises Unavailable, at once after repeated failures of S3."""
        with self._read_breaker.guard():
            return read_object(self._client, self._bucket, _object_name(key))

    def size(self, key: str) -> int | None:
        """Ask for an object's size; None if there is none. Raises Unavailable, at once after repeated failures of S3."""
        with self._read_breaker.guard(), errors_as_unavailable():
            try:
                return self._client.head_object(Bucket=self._bucket, Key=_object_name(key))["ContentLength"]
            except ClientError as error:
                if error_code(error) in NOT_FOUND_CODES:
                    return None
                raise

    def place(self, key: str, content_type: str, seconds: int) -> str:
        """Sign a URL of the object. S3 answers with that type, and for a file to be saved: its answers cannot be sandboxed."""
        said = {"ResponseContentType": content_type, "ResponseContentDisposition": "attachment"}
        with errors_as_unavailable():
            return self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": _object_name(key), **said}, ExpiresIn=seconds
            )

    def remove(self, keys: Sequence[str]) -> None:
        """Delete objects; unknown keys are ignored. Raises Unavailable after all others are deleted."""
        self.remove_stored(list(dict.fromkeys(_object_name(key) for key in keys)))

    def stored(self) -> Iterator[Sequence[StoredFile]]:
        """Yield the objects under keys, a page at a time. Raises Unavailable."""
        with errors_as_unavailable():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
                yield [
                    StoredFile(one["Key"], int(one["LastModified"].timestamp() * 1000), one["Size"])
                    for one in page.get("Contents", [])
                    if _OBJECT_NAME.fullmatch(one["Key"])
                ]

    def name_of(self, key: str) -> str:
        """Return the name of the key's object."""
        return _object_name(key)

    def remove_stored(self, names: Sequence[str]) -> None:
        """Delete objects by name; unknown names are ignored. Raises Unavailable after all others are deleted."""
        names = [name for name in names if _OBJECT_NAME.fullmatch(name)]
        refused: list[str] = []
        for begin in range(0, len(names), _MAX_DELETED):
            batch = names[begin : begin + _MAX_DELETED]
            with errors_as_unavailable():
                response = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": name} for name in batch], "Quiet": True}
                )
            refused += [error.get("Code", "?") for error in response.get("Errors", [])]
        refused = [code for code in refused if code not in NOT_FOUND_CODES]
        if refused:
            raise Unavailable(
                f"S3 did not remove {len(refused)} of {len(names)} objects: {', '.join(sorted({*refused}))}"
            )


class S3Uploads(UploadStore):
    """Uploaded objects.

    Without the permission to list the bucket, S3 answers 403 for an object that does not exist, which is Unavailable
    here.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    """

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def head(self, bucket: str, key: str) -> UploadedObject | None:
        """Read an object's ETag, size and metadata (``x-amz-meta-…``); None if there is no such object.

        Raises Unavailable, also if there is no such bucket; InvalidArgument if a metadata value cannot be decoded.
        """
        with errors_as_unavailable():
            try:
                response = self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if error_code(error) not in NOT_FOUND_CODES:
                    raise
                self._require_bucket(bucket)
                return None
        return UploadedObject(
            response["ETag"].strip('"'), response["ContentLength"], decode_metadata(response.get("Metadata", {}))
        )

    def _require_bucket(self, bucket: str) -> None:
        """Raise Unavailable if there is no such bucket, which S3's response to HeadObject does not tell."""
        try:
            self._client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error_code(error) in NOT_FOUND_CODES:
                raise Unavailable(f"S3: there is no bucket {bucket}") from error
            raise

    def read(self, bucket: str, key: str, etag: str) -> bytes | None:
        """Read the object's bytes; None if it was deleted or replaced since. Raises Unavailable."""
        with errors_as_unavailable():
            try:
                return self._client.get_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')["Body"].read()
            except ClientError as error:
                if error_code(error) in NOT_FOUND_CODES | _PRECONDITION_CODES:
                    return None
                raise

    def remove(self, bucket: str, key: str, etag: str) -> None:
        """Delete the object unless it was replaced since. Raises Unavailable.

        An object replaced by the same bytes has the same ETag and is deleted too: only its newer metadata is lost.
        """
        with errors_as_unavailable():
            try:
                self._client.delete_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')
            except ClientError as error:
                if error_code(error) not in NOT_FOUND_CODES | _PRECONDITION_CODES:
                    raise

    def place(self, bucket: str, key: str) -> str:
        """Address of the object for an operator."""
        return f"s3://{bucket}/{key}"


def decode_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Decode user-defined metadata; names are lower-cased.

    Header values are ASCII. Other text is percent-encoded UTF-8, as this service asks for, or RFC 2047, as S3 returns
    what was set by other means (Amazon S3 user guide, "User-defined object metadata").

    Raises InvalidArgument if a value is neither.
    """
    return {name.lower(): _decoded_value(name, value) for name, value in metadata.items()}


def _decoded_value(name: str, value: str) -> str:
    try:
        if value.startswith("=?") and value.endswith("?="):
            return str(make_header(decode_header(value)))
        return unquote(value, errors="strict")
    except (HeaderParseError, LookupError, ValueError) as reason:
        raise InvalidArgument(name, "neither percent-encoded UTF-8 nor RFC 2047") from reason


def _object_name(key: str) -> str:
    library, _, rest = key.partition("/")
    return f"{library}/{hashlib.sha256(rest.encode('utf-8', 'surrogatepass')).hexdigest()}"


def error_code(error: ClientError) -> str:
    """Return S3's code of the error; empty if it has none."""
    return error.response.get("Error", {}).get("Code", "")


def read_object(client: S3Client, bucket: str, name: str) -> bytes | None:
    """Read an object; None if there is none. Raises Unavailable."""
    with errors_as_unavailable():
        try:
            return client.get_object(Bucket=bucket, Key=name)["Body"].read()
        except ClientError as error:
            if error_code(error) in NOT_FOUND_CODES:
                return None
            raise


@contextmanager
def errors_as_unavailable() -> Iterator[None]:
    """Raise every other error of S3 or of the connection as Unavailable."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"S3: {error}") from error
