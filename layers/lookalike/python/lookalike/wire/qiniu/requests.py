"""Parameters of Qiniu's calls, from the JSON of their bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lookalike import errors
from lookalike.domain import exact_json
from lookalike.domain.exact_json import Number, Value
from lookalike.domain.library import LibraryRef
from lookalike.domain.picture import Metadata
from lookalike.errors import ArgumentTooLong, InvalidArgument, TooManyItems, UrlLengthError
from lookalike.ports import Ports
from lookalike.service.add import Add
from lookalike.service.image_source import Source
from lookalike.service.search import MAX_FOUND
from lookalike.wire import base64_image as pictures
from lookalike.wire import label_codec
from lookalike.wire.http import Request
from lookalike.wire.qiniu import limits
from lookalike.wire.qiniu.errors import NoGroups, TooManyGroups, UnknownScheme, WrongLimit, WrongThreshold


def limit_of(value: Value) -> int:
    """Number of results: 1 if absent or zero, MAX_FOUND if negative. Raises WrongLimit or InvalidArgument."""
    if value is None:
        return 1
    if not isinstance(value, Number) or not re.fullmatch(r"-?[0-9]+", value.text):
        raise InvalidArgument("limit", "must be a whole number")
    if value.text.startswith("-"):
        return MAX_FOUND if value.text.strip("-0") else 1
    digits = value.text.lstrip("0")
    if len(digits) > len(str(MAX_FOUND)) or int(digits or "0") > MAX_FOUND:
        raise WrongLimit("limit", f"more than {MAX_FOUND}")
    return max(int(digits or "0"), 1)


def threshold_of(value: Value) -> float:
    """Lowest score of a result, 0 if absent. Raises WrongThreshold or InvalidArgument."""
    if value is None:
        return 0.0
    if not isinstance(value, Number):
        raise InvalidArgument("threshold", "must be a number, from 0 to 1")
    threshold = float(value.text)
    if not 0 <= threshold <= 1:
        raise WrongThreshold("threshold", "must be a number, from 0 to 1")
    return threshold


def groups_of(value: Value) -> list[str]:
    """Names of the groups to search in, each once. Raises NoGroups, TooManyGroups or InvalidArgument."""
    if value is None or value == []:
        raise NoGroups("groups", "empty")
    if not isinstance(value, list):
        raise InvalidArgument("groups", "must be a list of names")
    names = list(dict.fromkeys(text_of("groups", one) for one in value))
    if len(names) > limits.MAX_GROUPS:
        raise TooManyGroups("groups", f"more than {limits.MAX_GROUPS} of them")
    return names


def body_of(request: Request) -> Mapping[str, Value]:
    """The object in the body, whatever its type says. Raises InvalidArgument."""
    return object_of("body", exact_json.read(request.content()))


def object_of(name: str, value: Value) -> Mapping[str, Value]:
    """The value, if it is an object; nothing at all is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(name, "must be an object")
    return value


def text_of(name: str, value: Value, default: str | None = None) -> str:
    """The value, if it is text that UTF-8 can say."""
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not exact_json.is_text(value):
        raise InvalidArgument(name, "must be text")
    return value


def elements_of(ports: Ports, request: Request) -> list[Value]:
    """The elements of ``data``, one a picture to be added. Raises InvalidArgument or TooManyItems."""
    data = body_of(request).get("data")
    if not isinstance(data, list):
        raise InvalidArgument("data", "must be a list of pictures")
    if len(data) > ports.settings.batch_pictures:
        raise TooManyItems(
            "data",
            f"more than {ports.settings.batch_pictures} pictures",
            remedy="LOOKALIKE_BATCH_PICTURES says how many one call may add",
        )
    return data


def command_of(ref: LibraryRef, element: Value) -> Add | Exception:
    """Command of one element of the list, or the error of that element, which leaves the others alone."""
    try:
        said = object_of("data", element)
        attribute = object_of("attribute", said.get("attribute"))
        id_ = text_of("id", attribute.get("id"), default="")
        label = label_codec.encode(attribute.get("label", ""))
        desc = exact_json.compact(attribute["desc"]) if "desc" in attribute else ""
        for name, size in (("label", label_codec.encoded_size(label)), ("desc", len(desc.encode()))):
            if size > limits.METADATA_BYTES[name]:
                raise ArgumentTooLong(name, f"more than {limits.METADATA_BYTES[name]} bytes")
        source = source_of(text_of("uri", said.get("uri"), default=""), InvalidArgument("uri", "missing"))
        return Add(ref, source, Metadata(label=label, desc=desc), id_ or None)
    except errors.LookalikeError as error:
        return error


def source_of(uri: str, missing: Exception) -> Source:
    """Source of a picture, a data: URI or a URL. Raises ``missing`` if the URI is empty."""
    uri = uri.strip()
    scheme = uri[:8].partition(":")[0].lower()
    if not uri:
        raise missing
    if scheme == "data":
        return Source(limits.BOUNDS, data=pictures.from_base64("uri", uri.encode(), limits.MAX_BASE64), name="uri")
    if scheme not in ("http", "https"):
        raise UnknownScheme("uri", "must begin with http:, https: or data:")
    if len(uri.encode()) > limits.MAX_URI_BYTES:
        raise UrlLengthError(f"more than {limits.MAX_URI_BYTES} bytes", field="uri")
    return Source(limits.BOUNDS, url=uri, name="uri")
