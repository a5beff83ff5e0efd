"""Secrets sealed by a key of AWS KMS, which never leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lookalike.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

#: How the client should be made: KMS answers in some ten milliseconds, and three tries are the SDKs' standard.
CONFIG = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})


class KmsSealer:
    """Seals secrets of 4096 bytes at most, each for one access key, which is the encryption context.

    A sealed secret copied to another application's row does not open there (AWS KMS developer guide, "Encryption
    context"). Every method raises Unavailable where KMS refuses or does not answer.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    key : the key's id or ARN.
    """

    def __init__(self, client: KMSClient, key: str) -> None:
        self._client = client
        self._key = key

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
            answer = self._client.decrypt(
                KeyId=self._key, CiphertextBlob=sealed, EncryptionContext=_context(access_key)
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"KMS: {error}") from error
        return answer["Plaintext"].decode()


def _context(access_key: str) -> dict[str, str]:
    return {"access_key": access_key}
