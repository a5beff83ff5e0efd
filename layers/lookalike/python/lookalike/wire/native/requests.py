"""The JSON that the native API takes. Their schemas are in the API's document."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from lookalike.wire.native import limits

Fraction: TypeAlias = Annotated[float, Meta(ge=0, le=1)]

BoxGiven: TypeAlias = tuple[Fraction, Fraction, Fraction, Fraction]
"""Left, top, right and bottom, as fractions of the upright picture."""


#: Stands for a member that is absent, where any JSON may be given.
ABSENT = msgspec.Raw(b"")


def _absent() -> msgspec.Raw:
    """Return ABSENT, as a default that schemas do not show."""
    return ABSENT


class Given(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all: an unknown member is an error, so that a typing error is not ignored."""


class ImageGiven(Given, frozen=True, kw_only=True):
    """A picture: exactly one of the members, but for ``library``, which goes with ``picture``."""

    url: Annotated[str, Meta(description="Address to download the picture from")] | None = None
    base64: Annotated[str, Meta(description="The file in base64")] | None = None
    picture: Annotated[str, Meta(description="Id of a stored picture")] | None = None
    library: Annotated[str, Meta(description="Its library, if it is another than the one searched")] | None = None


OnDuplicate: TypeAlias = Literal["return", "refuse", "update"]


class PictureGiven(Given, frozen=True, kw_only=True):
    """A picture to add, and what is said of it."""

    image: ImageGiven | None = None
    id: Annotated[str, Meta(description="Your id, in libraries with identity own")] | None = None
    brief: str = ""
    tags: tuple[str, ...] = ()
    label: msgspec.Raw = msgspec.field(default_factory=_absent)
    desc: msgspec.Raw = msgspec.field(default_factory=_absent)
    on_duplicate: OnDuplicate = "return"


class PictureChange(Given, frozen=True, kw_only=True):
    """What to change: members that are absent stay."""

    brief: str | None = None
    tags: tuple[str, ...] | None = None
    label: msgspec.Raw = msgspec.field(default_factory=_absent)
    desc: msgspec.Raw = msgspec.field(default_factory=_absent)


class LibraryGiven(Given, frozen=True, kw_only=True):
    """A library to make."""

    kind: Literal["same", "similar", "product"] = "same"
    identity: Annotated[
        Literal["own", "picture"], Meta(description="own: pictures have your ids; picture: a picture is its own id")
    ] = "own"
    capacity: Annotated[int, Meta(ge=1, le=10**9)] | None = None


class LibraryChange(Given, frozen=True, kw_only=True):
    """What to change of a library."""

    capacity: Annotated[int, Meta(ge=1, le=10**9)] | None


class TagGiven(Given, frozen=True, kw_only=True):
    """A condition: the picture has this tag."""

    tag: str


class FilterGiven(Given, frozen=True, kw_only=True, rename={"all_of": "all", "any_of": "any", "none_of": "none"}):
    """Pictures that meet all of ``all``, one of ``any`` if there are some, and none of ``none``."""

    all_of: tuple[TagGiven, ...] = ()
    any_of: tuple[TagGiven, ...] = ()
    none_of: tuple[TagGiven, ...] = ()


class SearchGiven(Given, frozen=True, kw_only=True, rename={"without": "not"}):
    """A search in one library."""

    image: ImageGiven
    also: Annotated[tuple[ImageGiven, ...], Meta(description="Further examples")] = ()
    without: Annotated[tuple[ImageGiven, ...], Meta(description="Examples of what is not meant")] = ()
    box: Annotated[BoxGiven, Meta(description="The part of the image to search for")] | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.MAX_RESULTS)] = limits.DEFAULT_RESULTS
    after: Annotated[str, Meta(description="next of the page before")] | None = None
    threshold: Annotated[Fraction, Meta(description="Least score; identical pictures pass any")] = 0.0
    filter: FilterGiven | None = None
    explain: Annotated[bool, Meta(description="Say what agrees, what does not, and what the search did")] = False


class SearchManyGiven(SearchGiven, frozen=True, kw_only=True):
    """A search in several libraries of one kind."""

    libraries: Annotated[tuple[str, ...], Meta(min_length=1, max_length=limits.MAX_LIBRARIES)]


class CheckGiven(Given, frozen=True, kw_only=True):
    """The picture that is asked for."""

    image: ImageGiven


class CompareGiven(Given, frozen=True, kw_only=True):
    """Two pictures; ``b`` is the query."""

    a: ImageGiven
    b: ImageGiven


class RowGiven(Given, frozen=True, kw_only=True):
    """A line of a bulk call. ``url`` and ``base64`` are of a picture to add."""

    op: Literal["add", "update", "delete"] = "add"
    id: str | None = None
    url: str | None = None
    base64: str | None = None
    brief: str | None = None
    tags: tuple[str, ...] | None = None
    label: msgspec.Raw = msgspec.field(default_factory=_absent)
    desc: msgspec.Raw = msgspec.field(default_factory=_absent)
    on_duplicate: OnDuplicate = "return"
