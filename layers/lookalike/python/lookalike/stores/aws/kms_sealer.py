"""Encrypts applications' secrets with a key of AWS KMS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lookalike.errors import Unavailable
from lookalike.observability import logger
from lookalike.ports import Clock
from lookalike.ports.clock import unix_milliseconds
from lookalike.stores.aws.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

#: Configuration of the client. KMS responds in some ten milliseconds; a second without a response is a fault.
CONFIG = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})

#: Milliseconds that a decrypted secret is served from memory during an outage of KMS.
CACHE_MS = 3_600_000

#: Secrets in memory.
_MAX_CACHED = 10_000

#: The error code for too many requests. Other temporary failures have a status of 500 or more (AWS KMS API reference,
#: "Common errors").
_THROTTLING = "ThrottlingException"


class KmsSealer:
    """Encrypts secrets of at most 4096 bytes, each bound to an access key by the encryption context.

    A ciphertext copied to another application's row cannot be decrypted there (AWS KMS developer guide, "Encryption
    context"). Every method raises Unavailable if KMS refuses or does not respond.

    During an outage of KMS, secrets decrypted within the last hour are served from memory for the same ciphertext. If
    KMS refuses, for example because the key was disabled, nothing is decrypted.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    key : id or ARN of the key.
    clock : Unix milliseconds. Not the monotonic clock, which may stand still while Lambda freezes the process.
    """

    def __init__(self, client: KMSClient, key: str, clock: Clock = unix_milliseconds) -> None:
        self._client = client
        self._key = key
        self._clock = clock
        self._breaker = CircuitBreaker("KMS", _is_outage)
        self._cache: dict[tuple[bytes, str], tuple[int, str]] = {}

    def encrypt(self, secret: str, access_key: str) -> bytes:
        """Encrypt the secret of the application with this access key."""
        try:
            return self._client.encrypt(
                KeyId=self._key, Plaintext=secret.encode(), EncryptionContext=_encryption_context(access_key)
            )["CiphertextBlob"]
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"KMS: {error}") from error

    def decrypt(self, sealed: bytes, access_key: str) -> str:
        """Decrypt a secret. Succeeds only with the access key that it was encrypted for."""
        try:
            with self._breaker.guard():
                secret = self._decrypt(sealed, access_key)
        except Unavailable as error:
            cached = self._cached(sealed, access_key) if _is_outage(error) else None
            if cached is None:
                raise
            logger.warning("KMS does not answer; a secret it opened before is used", extra={"reason": str(error)})
            return cached
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[sealed, access_key] = self._clock(), secret
        return secret

    def _decrypt(self, sealed: bytes, access_key: str) -> str:
        """Decrypt by KMS."""
        try:
            response = self._client.decrypt(
                KeyId=self._key, CiphertextBlob=sealed, EncryptionContext=_encryption_context(access_key)
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"KMS: {error}") from error
        return response["Plaintext"].decode()

    def _cached(self, sealed: bytes, access_key: str) -> str | None:
        """The secret, if it was decrypted within the last hour."""
        decrypted_at, secret = self._cache.get((sealed, access_key), (0, ""))
        return secret if 0 <= self._clock() - decrypted_at < CACHE_MS else None


def _is_outage(error: BaseException) -> bool:
    """Whether KMS could not respond, as opposed to a refusal."""
    if not isinstance(error, Unavailable):
        return False
    if not isinstance(refusal := error.__cause__, ClientError):
        return True
    code, status = refusal.response["Error"]["Code"], refusal.response["ResponseMetadata"]["HTTPStatusCode"]
    return code == _THROTTLING or status >= 500


def _encryption_context(access_key: str) -> dict[str, str]:
    return {"access_key": access_key}
