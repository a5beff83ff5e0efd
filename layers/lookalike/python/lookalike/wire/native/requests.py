"""The JSON that the native API takes. Their schemas are in the API's document."""

# What stands in ``extra_json_schema`` is only said in the document: here it is checked in bytes, or with an error of its own.

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from lookalike.service.add import MAX_ID_BYTES
from lookalike.service.duplicate_records import MAX_CLUSTER as MAX_MARKED
from lookalike.service.examples import MAX_EXAMPLES
from lookalike.wire.native import limits

#: Names of libraries.
LIBRARY_PATTERN = r"^[A-Za-z0-9._-]{1,128}$"

#: Names of jobs.
JOB_PATTERN = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$"

#: Cursors: base64url.
CURSOR_PATTERN = r"^[A-Za-z0-9_-]*$"

#: Ids of uploads: base64url.
UPLOAD_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"

Fraction: TypeAlias = Annotated[float, Meta(ge=0, le=1)]

BoxGiven: TypeAlias = tuple[Fraction, Fraction, Fraction, Fraction]
"""Left, top, right and bottom, as fractions of the upright picture."""

Limit: TypeAlias = Annotated[float, Meta(ge=1, le=limits.MAX_RESULTS, multiple_of=1)]
Capacity: TypeAlias = Annotated[float, Meta(ge=1, le=10**9, multiple_of=1)]
"""Whole numbers, which some languages write as 20.0: the same number in JSON."""

Brief: TypeAlias = Annotated[
    str, Meta(description="Text of your own", extra_json_schema={"maxLength": limits.METADATA_BYTES["brief"]})
]
Tag: TypeAlias = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": limits.MAX_TAG_BYTES})]
Tags: TypeAlias = Annotated[tuple[Tag, ...], Meta(extra_json_schema={"maxItems": limits.MAX_TAGS})]
Id: TypeAlias = Annotated[
    str,
    Meta(
        description="Your id, in libraries with identity own",
        extra_json_schema={"minLength": 1, "maxLength": MAX_ID_BYTES},
    ),
]
Url: TypeAlias = Annotated[
    str,
    Meta(
        description="Address to download the picture from",
        extra_json_schema={"minLength": 1, "maxLength": limits.MAX_URL_BYTES, "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"},
    ),
]
Base64: TypeAlias = Annotated[
    str,
    Meta(
        description="The file in base64",
        extra_json_schema={"minLength": 1, "maxLength": limits.MAX_BASE64, "contentEncoding": "base64"},
    ),
]
UploadId: TypeAlias = Annotated[
    str,
    Meta(
        description="Id of an upload, which this call uses up",
        extra_json_schema={"pattern": UPLOAD_ID_PATTERN},
    ),
]
Label: TypeAlias = Annotated[
    msgspec.Raw,
    Meta(description=f"Any JSON of up to {limits.METADATA_BYTES['label']} bytes, which is returned digit by digit"),
]
Desc: TypeAlias = Annotated[
    msgspec.Raw,
    Meta(description=f"Any JSON of up to {limits.METADATA_BYTES['desc']} bytes, which is returned digit by digit"),
]
_MOST = str(2**32 - 1)

#: A whole number of up to ``_MOST``, with or without zeros before it.
_WHOLE = "|".join(
    [
        "[0-9]{1,9}",
        *(f"{_MOST[:at]}[0-{int(one) - 1}][0-9]{{{9 - at}}}" for at, one in enumerate(_MOST) if int(one)),
        _MOST,
    ]
)
OldContSign: TypeAlias = Annotated[
    str,
    Meta(
        description="The cont_sign that the picture had at Baidu, in libraries with identity picture: what that dialect calls it",
        extra_json_schema={"pattern": f"^({_WHOLE}),({_WHOLE})$"},
    ),
]
LibraryName: TypeAlias = Annotated[str, Meta(extra_json_schema={"pattern": LIBRARY_PATTERN})]
Cursor: TypeAlias = Annotated[
    str, Meta(description="next of the page before", extra_json_schema={"pattern": CURSOR_PATTERN})
]


class Given(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all: an unknown member is an error, so that a typing error is not ignored."""


class ImageGiven(Given, frozen=True, kw_only=True):
    """A picture: exactly one of the members, but for ``library``, which goes with ``picture``."""

    url: Url | UnsetType = UNSET
    base64: Base64 | UnsetType = UNSET
    upload: UploadId | UnsetType = UNSET
    picture: (
        Annotated[
            str,
            Meta(description="Id of a stored picture", extra_json_schema={"minLength": 1, "maxLength": MAX_ID_BYTES}),
        ]
        | UnsetType
    ) = UNSET
    library: (
        Annotated[LibraryName, Meta(description="Its library, if it is another than the one searched")] | UnsetType
    ) = UNSET


OnDuplicate: TypeAlias = Literal["return", "refuse", "update"]


class DescriptionGiven(Given, frozen=True, kw_only=True):
    """What is said of a picture to put: beside its file, or in the query."""

    id: Id | None = None
    brief: Brief = ""
    tags: Tags = ()
    label: Label | UnsetType = UNSET
    desc: Desc | UnsetType = UNSET


class MetadataGiven(DescriptionGiven, frozen=True, kw_only=True):
    """What is said of a picture to add: beside its file, or in the query."""

    on_duplicate: OnDuplicate = "return"
    old_cont_sign: OldContSign | None = None


class PictureGiven(MetadataGiven, frozen=True, kw_only=True):
    """A picture to add, and what is said of it."""

    image: ImageGiven


class PutGiven(DescriptionGiven, frozen=True, kw_only=True):
    """A picture to put by its id, and what is said of it."""

    image: ImageGiven


class PictureChange(Given, frozen=True, kw_only=True):
    """What to change: members that are absent stay, and null takes away; but of ``label`` and ``desc`` it is a value."""

    brief: Brief | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET
    label: Label | UnsetType = UNSET
    desc: Desc | UnsetType = UNSET
    old_cont_sign: OldContSign | UnsetType | None = UNSET


class LibraryGiven(Given, frozen=True, kw_only=True):
    """A library to make."""

    kind: (
        Annotated[
            Literal["same", "similar", "product"], Meta(description="Unless said, same, or what a vendor's library is")
        ]
        | UnsetType
    ) = UNSET
    identity: (
        Annotated[
            Literal["own", "picture"],
            Meta(
                description="own: pictures have your ids; picture: a picture is its own id. Unless said, own, or picture in a vendor's library"
            ),
        ]
        | UnsetType
    ) = UNSET
    capacity: Capacity | None = None


class LibraryChange(Given, frozen=True, kw_only=True):
    """What to change of a library."""

    capacity: Capacity | None


class TagGiven(Given, frozen=True, kw_only=True):
    """A condition: the picture has this tag."""

    tag: Tag


Conditions: TypeAlias = Annotated[tuple[TagGiven, ...], Meta(extra_json_schema={"maxItems": limits.MAX_TAGS})]


class FilterGiven(Given, frozen=True, kw_only=True, rename={"all_of": "all", "any_of": "any", "none_of": "none"}):
    """Pictures that meet all of ``all``, one of ``any`` if there are some, and none of ``none``; 32 tags in all."""

    all_of: Conditions = ()
    any_of: Conditions = ()
    none_of: Conditions = ()


class SearchOptionsGiven(Given, frozen=True, kw_only=True, rename={"without": "not"}):
    """How to search: beside a file, in a form."""

    also: Annotated[
        tuple[ImageGiven, ...],
        Meta(description="Further examples", extra_json_schema={"maxItems": MAX_EXAMPLES - 1}),
    ] = ()
    without: Annotated[
        tuple[ImageGiven, ...],
        Meta(description="Examples of what is not meant", extra_json_schema={"maxItems": MAX_EXAMPLES}),
    ] = ()
    box: Annotated[BoxGiven, Meta(description="The part of the image to search for")] | None = None
    limit: Limit = limits.DEFAULT_RESULTS
    after: Cursor | None = None
    threshold: Annotated[Fraction, Meta(description="Least score; identical pictures pass any")] = 0.0
    filter: FilterGiven | None = None
    explain: Annotated[bool, Meta(description="Say what agrees, what does not, and what the search did")] = False


class SearchGiven(SearchOptionsGiven, frozen=True, kw_only=True):
    """A search in one library."""

    image: ImageGiven


class SearchManyGiven(SearchGiven, frozen=True, kw_only=True):
    """A search in several libraries of one kind."""

    libraries: Annotated[tuple[LibraryName, ...], Meta(min_length=1, max_length=limits.MAX_LIBRARIES)]


class CheckGiven(Given, frozen=True, kw_only=True):
    """The picture that is asked for."""

    image: ImageGiven


class CompareGiven(Given, frozen=True, kw_only=True):
    """Two pictures; ``b`` is the query."""

    a: ImageGiven
    b: ImageGiven


class JobGiven(Given, frozen=True, kw_only=True):
    """A job to start. ``duplicates`` looks for near-duplicates in the library."""

    kind: Literal["duplicates"]
    library: LibraryName


class DismissGiven(Given, frozen=True, kw_only=True):
    """Pictures that are not the same as each other, by id."""

    pictures: Annotated[
        tuple[Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_ID_BYTES})], ...],
        Meta(min_length=2, max_length=MAX_MARKED),
    ]


class RowGiven(Given, frozen=True, kw_only=True):
    """A line of a bulk call. ``url``, ``base64`` and ``upload`` are of a picture to add."""

    op: Literal["add", "update", "delete"] = "add"
    id: Id | None = None
    url: Url | None = None
    base64: Base64 | None = None
    upload: UploadId | None = None
    brief: Brief | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET
    label: Label | UnsetType = UNSET
    desc: Desc | UnsetType = UNSET
    on_duplicate: OnDuplicate = "return"
    old_cont_sign: OldContSign | UnsetType | None = UNSET
