"""What requests say: bodies, query parameters, conditions, and the pictures in them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast, get_args

import msgspec
from msgspec import UNSET

from lookalike.domain import exact_json
from lookalike.domain.application import Application, Permission
from lookalike.domain.exact_json import is_text
from lookalike.domain.library import Identity, Library, LibraryRef
from lookalike.domain.picture import Metadata, MetadataChange, digest_prefix, sign_of
from lookalike.domain.search import TagFilter
from lookalike.errors import (
    ArgumentTooLong,
    EmptyPicture,
    InvalidArgument,
    LibraryNotFound,
    MissingArgument,
    PictureNotFound,
    SignAmbiguous,
    TooManyItems,
    UrlIllegal,
    UrlLengthError,
)
from lookalike.ports import Ports
from lookalike.service import staging
from lookalike.service.add import MAX_ID_BYTES
from lookalike.service.image_source import Source
from lookalike.service.libraries import IMPLICIT_LIBRARIES, is_library_name
from lookalike.service.permissions import require
from lookalike.service.staging_errors import UploadNotFound
from lookalike.service.stored import stored_source
from lookalike.service.tags import tags_of
from lookalike.wire import base64_image, forms, label_codec
from lookalike.wire.http import Request
from lookalike.wire.native import limits, picture_path
from lookalike.wire.native.json_body import json_of
from lookalike.wire.native.problems import UnsupportedByLibrary
from lookalike.wire.native.requests import (
    UPLOAD_ID_PATTERN,
    CheckGiven,
    DescriptionGiven,
    FilterGiven,
    ImageGiven,
    MetadataGiven,
    OnDuplicate,
    PictureChange,
    PictureGiven,
    PutGiven,
    SearchGiven,
    SearchOptionsGiven,
    TagGiven,
)
from lookalike.wire.native.sent_files import sent_file

_T = TypeVar("_T", bound=msgspec.Struct)

#: Stands where the gateway handed over text that was not UTF-8.
_REPLACEMENT = "\ufffd".encode()


def body_of(request: Request, kind: type[_T]) -> _T:
    """Return the object in the body, which is JSON. Raises InvalidArgument."""
    content_type = request.headers.get("content-type", "").lower()
    if content_type.startswith(("multipart/", "image/")):
        raise InvalidArgument("Content-Type", "must be application/json: this call takes no file")
    return json_of(text_of(request), kind)


def text_of(request: Request) -> bytes:
    """Return the body, which is not blank. Raises InvalidArgument also if a gateway has spoilt it."""
    content = request.content()
    if not content.strip():
        raise MissingArgument("body")
    if request.as_text and _REPLACEMENT in content:
        raise InvalidArgument(
            "body",
            "not UTF-8",
            remedy="send it as it is: this gateway takes what is called JSON for text, and spoils gzip",
        )
    return content


def picture_of(request: Request) -> tuple[MetadataGiven, ImageGiven | bytes]:
    """Return what is said of a picture, and the picture: its file if the body has it, or where it is.

    The body is a form (``image``, and ``picture`` in JSON), the file itself, or JSON. What it leaves unsaid may stand in other
    fields of the form, and in the query. Raises InvalidArgument.
    """
    return _picture_of(request, PictureGiven, MetadataGiven)


def put_of(request: Request) -> tuple[MetadataGiven, ImageGiven | bytes]:
    """Return the same of a picture to put, of which it cannot be said what to do if it is there. Raises InvalidArgument."""
    return _picture_of(request, PutGiven, DescriptionGiven)


def _picture_of(
    request: Request, whole: type[PictureGiven | PutGiven], beside: type[DescriptionGiven]
) -> tuple[MetadataGiven, ImageGiven | bytes]:
    query = forms.query(request)
    sent = sent_file(request, "picture", beside.__struct_fields__)
    if sent is None:
        body = body_of(request, whole)
        return _completed(body, _metadata_of(query)), body.image
    fields = forms.Form({**query.values, **sent.fields.values})
    return _completed(json_of(sent.json, beside, "/picture"), _metadata_of(fields)), sent.data


def search_of(request: Request) -> tuple[SearchOptionsGiven, ImageGiven | bytes]:
    """Return what to search, and how. The body is a form (``image``, and ``search`` in JSON), the file itself, or JSON.

    Raises InvalidArgument.
    """
    sent = sent_file(request, "search")
    if sent is not None:
        return json_of(sent.json, SearchOptionsGiven, "/search"), sent.data
    body = body_of(request, SearchGiven)
    return body, body.image


def checked_image(request: Request) -> ImageGiven | bytes:
    """Return the picture that is asked for: in a form as ``image``, as the file itself, or in JSON. Raises InvalidArgument."""
    sent = sent_file(request)
    return body_of(request, CheckGiven).image if sent is None else sent.data


def _completed(said: DescriptionGiven, by_query: MetadataGiven) -> MetadataGiven:
    """Return what the body says, and where it says nothing, the query."""
    unsaid = MetadataGiven()
    members = {name: getattr(said, name, None) for name in MetadataGiven.__struct_fields__ if hasattr(said, name)}
    named = {name: value for name, value in members.items() if value != getattr(unsaid, name)}
    return msgspec.structs.replace(by_query, **named)


def _metadata_of(query: forms.Form) -> MetadataGiven:
    return MetadataGiven(
        id=query.text("id") or None,
        brief=query.text("brief"),
        tags=tuple(tag for tag in query.text("tags").split(",") if tag),
        label=msgspec.Raw(exact_json.quoted(query.text("label")).encode()) if "label" in query else UNSET,
        desc=msgspec.Raw(exact_json.quoted(query.text("desc")).encode()) if "desc" in query else UNSET,
        on_duplicate=cast("OnDuplicate", one_of(query, "on_duplicate", *get_args(OnDuplicate))),
        old_cont_sign=query.text("old_cont_sign") or None,
    )


def one_of(query: forms.Form, name: str, *values: str) -> str:
    """Return the value of a parameter that has one of few; the first one is the default. Raises InvalidArgument."""
    text = query.text(name) if name in query else values[0]
    if text not in values:
        raise InvalidArgument(name, f"must be one of {', '.join(values)}")
    return text


def whole(query: forms.Form, name: str, *, most: int, default: int) -> int:
    """Return the value of a parameter that is a number from 1. Raises InvalidArgument."""
    text = query.text(name) if name in query else str(default)
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise InvalidArgument(name, f"must be a whole number, from 1 to {most}")
    return int(text)


def picture_id(request: Request) -> str:
    """Return the id of the path. Raises InvalidArgument, also for what is not UTF-8."""
    segment = request.arguments["id"]
    if "\ufffd" in segment and not picture_path.says_replacement(request.raw_path):
        raise InvalidArgument("id", "not UTF-8", remedy="write it as ~ and the base64url of its UTF-8")
    return checked_id(picture_path.id_of(segment))


def checked_id(id_: str, field: str = "id") -> str:
    """Return the id. Raises InvalidArgument if it is no text, holds a NUL, is empty, or too long."""
    if not id_:
        raise InvalidArgument(field, f"must have 1 to {MAX_ID_BYTES} bytes")
    if len(_checked_text(id_, field).encode()) > MAX_ID_BYTES:
        raise ArgumentTooLong(field, f"more than {MAX_ID_BYTES} bytes")
    return id_


def _checked_text(text: str, field: str) -> str:
    if "\0" in text:
        raise InvalidArgument(field, "must not hold a NUL character")
    if not is_text(text):
        raise InvalidArgument(field, "half a surrogate pair")
    return text


def library_of(ports: Ports, application: Application, name: str, field: str = "library") -> Library:
    """Return the caller's library of that name. Raises LibraryNotFound, whose field is the one given."""
    library = ports.catalog.library(application.tenant, name) if is_library_name(name) else None
    if library is None:
        missing = LibraryNotFound(name)
        missing.field = field
        raise missing
    return library


def ref_of(library: Library) -> LibraryRef:
    """Return a reference to the library."""
    return LibraryRef(library.tenant, library.name, library.kind, library.identity)


def source_of(
    ports: Ports, application: Application, library: Library | None, image: ImageGiven | bytes, field: str
) -> Source:
    """Return the picture that is meant, or was sent. ``library`` holds stored ones that name none; ``field`` is a pointer.

    Raises InvalidArgument, a UrlError or a PictureError.
    """
    if isinstance(image, bytes):
        return _source_of_file(ports, image)
    if [image.url, image.base64, image.upload, image.picture].count(UNSET) != 3:
        raise InvalidArgument(field, "must have one of url, base64, upload and picture")
    if image.library is not UNSET and image.picture is UNSET:
        raise InvalidArgument(f"{field}/library", "goes with picture")
    if image.url is not UNSET:
        return _from_url(ports, image.url, f"{field}/url")
    if image.upload is not UNSET:
        return _from_upload(ports, image.upload, f"{field}/upload")
    if image.base64 is not UNSET:
        data = base64_image.from_base64(f"{field}/base64", image.base64.encode(), limits.MAX_BASE64)
        return Source(limits.bounds(ports), data=data, name=f"{field}/base64")
    return _stored(ports, application, library, image, field)


def _stored(ports: Ports, application: Application, library: Library | None, image: ImageGiven, field: str) -> Source:
    require(application, Permission.SEARCH)  # what is made of it would show what is in it
    if image.library is not UNSET:
        library = library_of(ports, application, image.library, f"{field}/library")
    if library is None:
        raise MissingArgument(f"{field}/library")
    id_, place = str(image.picture), f"{field}/picture"
    with about(place):
        return stored_source(ports, library, checked_id(id_, place), limits.bounds(ports))


@contextmanager
def about(field: str) -> Iterator[None]:
    """Name the place of a picture in what is raised of it within the block."""
    try:
        yield
    except (PictureNotFound, SignAmbiguous) as error:
        error.field = field
        raise


def _from_upload(ports: Ports, id_: str, field: str) -> Source:
    """Return the file that was sent ahead. Raises UploadNotFound for what is no id, also where no file would be read."""
    if not re.fullmatch(UPLOAD_ID_PATTERN, id_):
        raise UploadNotFound(id_, field=field)
    return Source(limits.bounds(ports, staging.MAX_BYTES), upload=id_, name=field)


def _from_url(ports: Ports, url: str, field: str) -> Source:
    url = _checked_text(url, field).strip()
    if not url or len(url.encode()) > limits.MAX_URL_BYTES:
        raise UrlLengthError(f"must have 1 to {limits.MAX_URL_BYTES} bytes", field=field)
    if not url.lower().startswith(("http://", "https://")):
        raise UrlIllegal("must begin with http:// or https://", field=field)
    return Source(limits.bounds(ports), url=url, name=field)


def _source_of_file(ports: Ports, data: bytes) -> Source:
    """Return the picture of a file in the body. Raises EmptyPicture."""
    if not data:
        raise EmptyPicture("no bytes", field="image")
    return Source(limits.bounds(ports), data=data, name="image")


def metadata_of(library: LibraryRef, said: MetadataGiven) -> Metadata:
    """Return what is said of a picture. Raises InvalidArgument."""
    old_sign = UNSET if said.old_cont_sign is None else said.old_cont_sign
    change = PictureChange(brief=said.brief, tags=said.tags, label=said.label, desc=said.desc, old_cont_sign=old_sign)
    return Metadata(**change_of(library, change))


def change_of(library: LibraryRef, said: PictureChange) -> MetadataChange:
    """Return the members to change. Raises InvalidArgument."""
    change: MetadataChange = {}
    if said.brief is not UNSET:
        change["brief"] = _bounded("brief", _checked_text(said.brief or "", "/brief"))
    if said.tags is not UNSET:
        change["tags"] = _tags_of(library, said.tags or ())
    if said.label is not UNSET:
        label = _label_of(bytes(said.label))
        _check_size("label", label_codec.encoded_size(label))
        change["label"] = label
    if said.desc is not UNSET:
        change["desc"] = _bounded("desc", exact_json.compact(exact_json.read(bytes(said.desc))))
    if said.old_cont_sign is None and library.identity is Identity.PICTURE:
        change["old_sign"] = ""
    elif isinstance(said.old_cont_sign, str):
        change["old_sign"] = _old_sign_of(library, said.old_cont_sign)
    return change


def _old_sign_of(library: LibraryRef, text: str) -> str:
    prefix = digest_prefix(text)
    if prefix is None or text != text.strip():
        raise InvalidArgument("/old_cont_sign", "must be two whole numbers below 4294967296, parted by a comma")
    if library.identity is Identity.OWN:
        raise UnsupportedByLibrary("/old_cont_sign", "is for libraries where a picture is its own id")
    return sign_of(prefix)


def _label_of(data: bytes) -> str:
    """Return the label as it is stored. Raises InvalidArgument if it is nested too deep."""
    try:
        return label_codec.encode(exact_json.read(data))
    except InvalidArgument as error:
        raise InvalidArgument("/label", error.reason) from error


def _bounded(name: str, text: str) -> str:
    _check_size(name, len(text.encode()))
    return text


def _check_size(name: str, size: int) -> None:
    if size > limits.METADATA_BYTES[name]:
        raise ArgumentTooLong(f"/{name}", f"{size} bytes, more than {limits.METADATA_BYTES[name]}")


def _tags_of(library: LibraryRef, tags: tuple[str, ...]) -> tuple[str, ...]:
    if library.name in IMPLICIT_LIBRARIES:
        return tags_of(library.kind, tags)
    if len(tags) > limits.MAX_TAGS:
        raise TooManyItems("/tags", f"{len(tags)}, more than {limits.MAX_TAGS}")
    return tuple(dict.fromkeys(_checked_tag(tag, f"/tags/{number}") for number, tag in enumerate(tags)))


def _checked_tag(tag: str, field: str) -> str:
    if not tag or len(_checked_text(tag, field).encode()) > limits.MAX_TAG_BYTES:
        raise InvalidArgument(field, f"must have 1 to {limits.MAX_TAG_BYTES} bytes")
    return tag


def filter_of(said: FilterGiven | None) -> TagFilter | None:
    """Return the filter of a search; None if it lets everything pass. Raises InvalidArgument or TooManyItems."""
    if said is None or said == FilterGiven():
        return None
    parts = {f"{name}_of": _tags_in(getattr(said, f"{name}_of"), f"/filter/{name}") for name in ("all", "any", "none")}
    if sum(map(len, parts.values())) > limits.MAX_TAGS:
        raise TooManyItems("/filter", f"more than {limits.MAX_TAGS} tags")
    return TagFilter(**parts)


def _tags_in(conditions: tuple[TagGiven, ...], field: str) -> frozenset[str]:
    return frozenset(_checked_tag(one.tag, f"{field}/{number}/tag") for number, one in enumerate(conditions))


def position_of(after: str | None) -> int:
    """Return the position that the cursor of a search means; 0 without one. Raises InvalidArgument."""
    if not after:
        return 0
    text = _decoded(after, "/after")
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise InvalidArgument("/after", "is no cursor of this API")
    return int(text)


def cursor_of(position: int | str) -> str:
    """Return the cursor of a position in a search, or of an id in a list."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def listed_after(text: str) -> str | None:
    """Return the id that the cursor of a list means; None without one. Raises InvalidArgument."""
    return _checked_text(_decoded(text, "after"), "after") if text else None


def _decoded(cursor: str, field: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(field, "is no cursor of this API: send next of the page before") from error
