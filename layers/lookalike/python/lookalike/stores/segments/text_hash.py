"""Hashes of ids and tags, the same in every process, as files hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def hash_of(text: str) -> int:
    """Return a signed 64-bit hash: the first eight bytes of BLAKE2b, little-endian."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def hashes_of(texts: Iterable[str]) -> NDArray[np.int64]:
    """Return the hash of each text, shape (n,)."""
    return np.array([hash_of(text) for text in texts], np.int64)


@lru_cache(4096)  # a library has few tags, and many pictures of each
def tag_hash(tag: str) -> int:
    """Return the hash of a tag."""
    return hash_of(tag)
