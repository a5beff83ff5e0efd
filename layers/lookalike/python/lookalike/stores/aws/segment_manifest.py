"""The list of the segments that a library's index consists of, as an item of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from lookalike.stores.aws.dynamodb_attributes import number, text
from lookalike.stores.aws.dynamodb_keys import Item

#: Version of the list that is written, and the only one that is read.
VERSION = 1


class UnusableManifestError(Exception):
    """The list of segments cannot be used: it is damaged, or of another version. The text says why."""


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """A segment: the name of its object, and what its header must say.

    Attributes
    ----------
    file : the name of its content.
    size : bytes.
    """

    object: str
    file: str
    model: str
    kind: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Outdated:
    """What a list no longer names, and since when, in Unix milliseconds by the clock of whoever replaced it.

    ``cut``: entries of the log up to this number. ``objects``: segments.
    """

    since: int
    cut: int = 0
    objects: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The segments, and the number of the log's entry up to which they hold everything.

    Attributes
    ----------
    number : of this list; each that replaces another has the next one.
    lineage : names the log. One that begins anew has another.
    swept : number of the log's entry up to which all are deleted.
    outdated : what readers that have an older list may still read.
    """

    number: int
    cut: int
    lineage: str
    swept: int = 0
    segments: Sequence[SegmentRef] = field(default=())
    outdated: Sequence[Outdated] = field(default=())


_Said = tuple[list[SegmentRef], list[Outdated]]
_decode = msgspec.json.Decoder(_Said).decode


def manifest_attributes(manifest: Manifest) -> Item:
    """Return the attributes of a list's item, without its key."""
    said = msgspec.json.encode(([asdict(one) for one in manifest.segments], [asdict(one) for one in manifest.outdated]))
    return {
        "version": number(VERSION),
        "number": number(manifest.number),
        "lineage": text(manifest.lineage),
        "cut": number(manifest.cut),
        "swept": number(manifest.swept),
        "segments": text(said.decode()),
    }


def identity_of(item: Mapping[str, Mapping[str, Any]] | None) -> Item:
    """Return the attributes that tell a list from any other, as far as they are there."""
    return {name: item[name] for name in ("number", "lineage") if name in item} if item is not None else {}


def number_of(item: Mapping[str, Mapping[str, Any]] | None) -> int:
    """Return the number of a list that may not be usable; 0 if not even that can be read."""
    try:
        return int(item["number"]["N"]) if item is not None else 0
    except (KeyError, TypeError, ValueError):
        return 0


def manifest_of(item: Mapping[str, Mapping[str, Any]]) -> Manifest:
    """Return the list of an item. Raises UnusableManifestError."""
    try:
        version = int(item["version"]["N"])
        if version != VERSION:
            raise UnusableManifestError(
                f"its list of segments has version {version}, and this lookalike reads {VERSION}"
            )
        segments, outdated = _decode(item["segments"]["S"])
        return Manifest(
            number=int(item["number"]["N"]),
            cut=int(item["cut"]["N"]),
            lineage=item["lineage"]["S"],
            swept=int(item["swept"]["N"]),
            segments=segments,
            outdated=outdated,
        )
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise UnusableManifestError(f"its list of segments cannot be read ({error!r})") from error
