"""Typed objects of JSON: what is wrong with it is said in the words of JSON, and where by a pointer (RFC 6901)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import TypeVar, get_args, get_type_hints

import msgspec

from lookalike.errors import InvalidArgument, MissingArgument
from lookalike.wire.native.elsewhere import unknown
from lookalike.wire.native.requests import LibraryGiven, PictureGiven, RowGiven

_T = TypeVar("_T", bound=msgspec.Struct)

#: How msgspec ends a message: the place of the fault in the JSON.
_PLACE = re.compile(r" - at `(?:key in )?\$(?P<path>.*)`$")

#: How msgspec says that a member is missing, or unknown.
_MEMBER = re.compile(r"Object (?P<fault>missing required|contains unknown) field `(?P<name>.*)`", re.DOTALL)

#: How msgspec says that a number is not whole: see :data:`~lookalike.wire.native.requests.Limit`.
_WHOLE = re.compile(r"`float` that's a multiple of 1\.0")

#: Python's names of types in a message of msgspec, and JSON's.
_TYPES: Mapping[str, str] = {"str": "string", "float": "number", "int": "number", "bool": "boolean"}
_TYPE = re.compile(r"(?<=[`| ])(?:str|float|int|bool)(?=[`| ])")

#: Where pictures stand in bodies.
_IMAGE = re.compile(r"/(?:image|a|b|(?:also|not)/[0-9]+)")

#: What members may say that have few values.
_VALUES: Mapping[str, tuple[str, ...]] = {
    name: get_args(get_type_hints(kind)[name])
    for kind, name in (
        (LibraryGiven, "kind"),
        (LibraryGiven, "identity"),
        (PictureGiven, "on_duplicate"),
        (RowGiven, "op"),
    )
}

#: An escaped surrogate without its other half, which msgspec takes for the end of the text.
_HALF_PAIR = re.compile(rb"\\u[dD](?:[89abAB](?!..\\u[dD][c-fC-F])|[c-fC-F](?<!\\u[dD][89abAB]..\\u[dD].))")


def json_of(data: bytes, kind: type[_T], place: str = "") -> _T:
    """Return the object in JSON. Raises InvalidArgument, whose field is a JSON pointer below ``place``."""
    try:
        return msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=kind)
    except msgspec.ValidationError as error:
        said = str(error)
        found = _PLACE.search(said)
        pointer = place + ("" if found is None else _pointer(found["path"]))
        raise _malformed(pointer, said[: found.start()] if found else said) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = "half a surrogate pair" if _HALF_PAIR.search(data) else str(error)
        raise InvalidArgument(place or "body", f"not JSON: {reason}") from error
    except RecursionError as error:
        raise InvalidArgument(place or "body", "arrays and objects are nested too deep") from error


def _malformed(pointer: str, said: str) -> InvalidArgument:
    """Return the error of a fault that msgspec found, with the member's own name where one is missing or unknown."""
    named = _MEMBER.fullmatch(said)
    if named is None:
        return InvalidArgument(pointer or "body", _reworded(pointer, said))
    member = f"{pointer}/{named['name'].replace('~', '~0').replace('/', '~1')}"
    if named["fault"] == "missing required":
        return MissingArgument(member)
    return unknown(member, "member")


def _reworded(pointer: str, said: str) -> str:
    """Return what msgspec said of the value there, in the words of JSON."""
    if _IMAGE.fullmatch(pointer) and said.startswith("Expected `object"):
        return "must be an object with one of url, base64, upload and picture"
    values = _VALUES.get(pointer.rpartition("/")[2])
    if values and said.startswith("Invalid enum value"):
        return f"must be one of {', '.join(values)}"
    return _TYPE.sub(lambda found: _TYPES[found[0]], _WHOLE.sub("a whole number", said))


def _pointer(path: str) -> str:
    """Return a JSON pointer of a path as msgspec writes it, ``.a[0].b`` or ``[...]`` for any index."""
    return "".join(f"/{part}" for part in re.findall(r"\.([^.\[\]]+)|\[([^\]]*)\]", path) for part in part if part)
