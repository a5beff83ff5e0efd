"""Parameters of Baidu's calls."""

from __future__ import annotations

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.search import TagFilter
from lookalike.errors import (
    ArgumentTooLong,
    EmptyPicture,
    InvalidArgument,
    MissingArgument,
    TooManyItems,
    UrlLengthError,
)
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service import tags
from lookalike.service.image_source import Source
from lookalike.wire import base64_image
from lookalike.wire.baidu import limits
from lookalike.wire.forms import Form


def source_of(ports: Ports, form: Form) -> Source | None:
    """Source of the picture: its bytes, or else its URL; None if the form has neither."""
    bounds = Bounds(
        max_bytes=limits.MAX_BASE64 // 4 * 3,
        min_side=ports.settings.min_side,
        max_side=limits.MAX_SIDE,
        max_pixels=limits.MAX_SIDE * limits.MAX_SIDE,
        formats=limits.FORMATS,
    )
    if form.data("image"):
        return Source(
            bounds, data=base64_image.from_base64("image", form.data("image"), limits.MAX_BASE64), name="image"
        )
    url = form.text("url").strip()
    if len(url.encode()) > limits.MAX_URL_BYTES:
        raise UrlLengthError(f"more than {limits.MAX_URL_BYTES} bytes")
    return Source(bounds, url=url, name="url") if url else None


def no_picture_error(form: Form) -> Exception:
    """Return the error for a missing or empty field of a picture."""
    if "image" in form:
        return EmptyPicture("empty", field="image")
    if "url" in form:
        return UrlLengthError("empty")
    return MissingArgument("image")


def signs_of(form: Form) -> tuple[str, ...]:
    """Return the signs of ``cont_sign``. Raises TooManyItems, or :func:`no_picture_error` if there is none."""
    signs = tuple(sign for sign in (part.strip() for part in form.text("cont_sign").split(";")) if sign)
    if not signs:
        raise no_picture_error(form)
    if len(signs) > limits.MAX_SIGNS:
        raise TooManyItems("cont_sign", f"more than {limits.MAX_SIGNS} of them")
    return signs


def sign_of_one(form: Form) -> str:
    """The one sign of ``cont_sign``. Raises InvalidArgument if there are more."""
    signs = signs_of(form)
    if len(signs) > 1:
        raise InvalidArgument("cont_sign", "more than one, where one picture is meant")
    return signs[0]


def brief_of(form: Form) -> str:
    """The brief, empty if absent. Raises ArgumentTooLong."""
    brief = form.text("brief")
    if len(brief.encode()) > limits.METADATA_BYTES["brief"]:
        raise ArgumentTooLong("brief", f"more than {limits.METADATA_BYTES['brief']} bytes")
    return brief


def tags_of(ref: LibraryRef, form: Form) -> tuple[str, ...]:
    """Tags in their stored form: decimal numbers; for products `1:N` for class_id1 and `2:N` for class_id2."""
    if ref.kind is Kind.PRODUCT:
        classes = {place: tags.number(f"class_id{place}", form.text(f"class_id{place}")) for place in (1, 2)}
        return tuple(f"{place}:{number}" for place, number in classes.items() if number is not None)
    numbers = [tags.number("tags", part) for part in form.text("tags").split(",")]
    given = [number for number in numbers if number is not None]
    if len(given) > tags.MAX_TAGS:
        raise InvalidArgument("tags", f"more than {tags.MAX_TAGS} of them")
    return tuple(dict.fromkeys(str(number) for number in given))


def kept_class_prefixes(ref: LibraryRef, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the prefixes of class ids that an update does not give, and so keeps."""
    if ref.kind is not Kind.PRODUCT:
        return ()
    return tuple(place for place in ("1:", "2:") if not any(tag.startswith(place) for tag in given))


def tag_filter_of(ref: LibraryRef, form: Form) -> TagFilter | None:
    """Filter of a search by tags; None if the form has no tags."""
    wanted = frozenset(tags_of(ref, form))
    logic = form.integer("tag_logic", least=0, most=1, default=0)
    if not wanted:
        return None
    return TagFilter(any_of=wanted) if logic == 1 else TagFilter(all_of=wanted)
