"""Files that callers send ahead of the call that uses them: their ids, and where they are sent."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Bytes of the parts of an id: when it expires (Unix seconds), random ones, and a check of whose it is.
_EXPIRY_BYTES, _RANDOM_BYTES, _CHECK_BYTES = 5, 16, 6

#: Hexadecimal digits of a tenant's folder: 128 bits of SHA-256.
_FOLDER_DIGITS = 32


@dataclass(frozen=True, slots=True)
class PostForm:
    """A form to send a file with, as multipart/form-data: the fields, and behind them the file as ``file``."""

    url: str
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StagedId:
    """Id of a file that a tenant sends ahead; ``expires`` is in Unix seconds.

    It says itself when it expires and whose it is. It opens nothing: files are looked up below the folder of the tenant that
    asks, and nobody else's are there.
    """

    tenant: str
    expires: int
    random: bytes

    @classmethod
    def new(cls, tenant: str, expires: int) -> StagedId:
        """Return a new id."""
        return cls(tenant, expires, secrets.token_bytes(_RANDOM_BYTES))

    @classmethod
    def of(cls, tenant: str, text: str) -> StagedId | None:
        """Read an id; None if it is none, or another tenant's."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        expiry, random = data[:_EXPIRY_BYTES], data[_EXPIRY_BYTES : _EXPIRY_BYTES + _RANDOM_BYTES]
        read = cls(tenant, int.from_bytes(expiry), random)
        return read if str(read) == text else None

    def __str__(self) -> str:
        said = self.expires.to_bytes(_EXPIRY_BYTES) + self.random
        check = hashlib.sha256(said + self.tenant.encode("utf-8", "surrogatepass")).digest()[:_CHECK_BYTES]
        return base64.urlsafe_b64encode(said + check).decode()

    @property
    def key(self) -> str:
        """Key of the file: the tenant's folder, and the id."""
        folder = hashlib.sha256(self.tenant.encode("utf-8", "surrogatepass")).hexdigest()[:_FOLDER_DIGITS]
        return f"{folder}/{self}"
