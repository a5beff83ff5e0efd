"""Rows for the contract suites, each with only what a test cares about spelled out."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Library
from lookalike.domain.picture import DIMENSION, Key, Metadata, Picture, State, Vector

MODEL = "model-1"


def digest_of(text: str) -> str:
    """64 hex digits, the same for the same text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def unit(*values: float) -> Vector:
    """A unit vector that begins with these values' direction and is zero from there on."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[: len(values)] = values
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def random_vectors(count: int, seed: int) -> NDArray[np.float16]:
    """Unit vectors in every direction, shape (count, DIMENSION)."""
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def row(library: str, picture: str, revision: int = 1, **given: Any) -> Picture:
    """A live picture row; ``given`` replaces any field, of its metadata too."""
    words = {name: given.pop(name) for name in ("brief", "label", "desc", "tags", "old_sign") if name in given}
    values: dict[str, Any] = {
        "key": Key(library, picture),
        "kind": Kind.SIMILAR,
        "revision": revision,
        "added": revision,
        "state": State.LIVE,
        "digest": digest_of(picture),
        "file_digest": digest_of(f"file of {picture}"),
        "model": MODEL,
        "vector": unit(1),
        "metadata": Metadata(**words),
    }
    return Picture(**values | given)


def described(picture: Picture, **changes: Any) -> Picture:
    """The row with fields of its metadata changed."""
    return picture.but(metadata=replace(picture.metadata, **changes))


def deleted(picture: Picture, revision: int, at: int = 1) -> Picture:
    """The row after a soft deletion."""
    return picture.but(state=State.DELETED, revision=revision, deleted_at=at)


def contents(picture: Picture | None) -> dict[str, Any] | None:
    """All fields of a row in a form that can be compared (a row with arrays cannot)."""
    if picture is None:
        return None
    values = {field.name: getattr(picture, field.name) for field in fields(picture)}
    return values | {"vector": (str(picture.vector.dtype), picture.vector.shape, picture.vector.tobytes())}


def library(tenant: str, name: str, uid: str, kind: Kind = Kind.SIMILAR) -> Library:
    """A library whose pictures name themselves."""
    return Library(tenant, name, uid, kind, Identity.PICTURE, created=1)


def application(name: str, /, **given: Any) -> Application:
    """An active application called ``name``; ``given`` replaces any field."""
    values: dict[str, Any] = {
        "access_key": f"access-{name}",
        "secret_key": f"secret-{name}",
        "app_id": str(int(digest_of(name)[:8], 16)),
        "tenant": f"tenant-{name}",
        "name": name,
    }
    return Application(**values | given)
