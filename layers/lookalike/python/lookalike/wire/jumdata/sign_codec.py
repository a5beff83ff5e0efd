"""Signs as Jumdata's clients see them."""

from __future__ import annotations

import base64
import binascii

from lookalike.domain.picture import digest_prefix


def encode(sign: str) -> str:
    """A sign in base64 without padding, because a list of signs is parted by the comma a sign has in it."""
    return base64.b64encode(sign.encode()).decode().rstrip("=")


def decode(text: str) -> str:
    """The sign that such a text says; what says none is no picture's sign."""
    clean = text.rstrip("=")
    try:
        return binascii.a2b_base64(clean + "=" * (-len(clean) % 4), strict_mode=True).decode("ascii")
    except ValueError:  # no base64, or nothing a sign is made of
        return ""


def sign_in(text: str) -> str:
    """Return the sign that a text says in either way: as ``a,b``, or as Jumdata's clients see it; empty if it says none."""
    decoded = text if digest_prefix(text) is not None else decode(text.strip())
    return decoded if digest_prefix(decoded) is not None else ""
