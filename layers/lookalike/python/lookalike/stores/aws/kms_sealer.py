"""Secrets sealed by a key of AWS KMS, which never leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lookalike.clock import unix_milliseconds
from lookalike.errors import Unavailable
from lookalike.observability import logger
from lookalike.ports import Clock
from lookalike.stores.aws.circuit_breaker import Breaker

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

#: How the client should be made: KMS answers in some ten milliseconds, so a second without an answer is a fault.
CONFIG = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})

#: For so many milliseconds a secret that was opened stands in where KMS does not answer.
KEPT = 3_600_000

#: Secrets kept at once.
_MOST_KEPT = 10_000

#: How KMS says that it is asked too often; all else that it cannot do just now has a status from 500 on (AWS KMS API
#: reference, "Common errors").
_THROTTLED = "ThrottlingException"


class KmsSealer:
    """Seals secrets of 4096 bytes at most, each for one access key, which is the encryption context.

    A sealed secret copied to another application's row does not open there (AWS KMS developer guide, "Encryption
    context"). Every method raises Unavailable where KMS refuses or does not answer.

    Where KMS does not answer, what it opened within the last hour opens from memory: the very same bytes hold the very
    same secret. Where it refuses, as it does for a key that was switched off, nothing opens.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    key : the key's id or ARN.
    clock : the time. It is not the monotonic clock, which stands still in a snapshot of the process.
    """

    def __init__(self, client: KMSClient, key: str, clock: Clock = unix_milliseconds) -> None:
        self._client = client
        self._key = key
        self._clock = clock
        self._opening = Breaker("KMS", _is_out_of_order)
        self._opened: dict[tuple[bytes, str], tuple[int, str]] = {}

    def seal(self, secret: str, access_key: str) -> bytes:
        """The secret of the application with that access key, so that nobody reads it without the key."""
        try:
            return self._client.encrypt(
                KeyId=self._key, Plaintext=secret.encode(), EncryptionContext=_context(access_key)
            )["CiphertextBlob"]
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"KMS: {error}") from error

    def open(self, sealed: bytes, access_key: str) -> str:
        """The secret again; only together with the access key that it was sealed with."""
        try:
            with self._opening.guard():
                secret = self._decrypted(sealed, access_key)
        except Unavailable as error:
            kept = self._kept(sealed, access_key) if _is_out_of_order(error) else None
            if kept is None:
                raise
            logger.warning("KMS does not answer; a secret it opened before is used", extra={"reason": str(error)})
            return kept
        if len(self._opened) >= _MOST_KEPT:
            self._opened.clear()
        self._opened[sealed, access_key] = self._clock(), secret
        return secret

    def _decrypted(self, sealed: bytes, access_key: str) -> str:
        try:
            answer = self._client.decrypt(
                KeyId=self._key, CiphertextBlob=sealed, EncryptionContext=_context(access_key)
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"KMS: {error}") from error
        return answer["Plaintext"].decode()

    def _kept(self, sealed: bytes, access_key: str) -> str | None:
        when, secret = self._opened.get((sealed, access_key), (0, ""))
        return secret if 0 <= self._clock() - when < KEPT else None


def _is_out_of_order(error: BaseException) -> bool:
    """Whether KMS could not answer; else it has, and refused."""
    if not isinstance(error, Unavailable):
        return False
    if not isinstance(refusal := error.__cause__, ClientError):
        return True
    code, status = refusal.response["Error"]["Code"], refusal.response["ResponseMetadata"]["HTTPStatusCode"]
    return code == _THROTTLED or status >= 500


def _context(access_key: str) -> dict[str, str]:
    return {"access_key": access_key}
