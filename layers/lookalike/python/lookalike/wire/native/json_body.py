"""Typed objects of JSON: what is wrong with it is said in the words of JSON, and where by a pointer (RFC 6901)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar, get_args, get_type_hints

import msgspec
import msgspec.inspect

from lookalike.errors import InvalidArgument, MissingArgument, TooManyItems
from lookalike.wire.native.elsewhere import unknown

_T = TypeVar("_T", bound=msgspec.Struct)
_I = TypeVar("_I", bound=msgspec.inspect.Type)

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

#: How msgspec says that an array is too long.
_TOO_MANY = re.compile(r"Expected `array` of length <= (?P<most>[0-9]+)")

#: An escaped surrogate without its other half, which msgspec takes for the end of the text.
_HALF_PAIR = re.compile(rb"\\u[dD](?:[89abAB](?!..\\u[dD][c-fC-F])|[c-fC-F](?<!\\u[dD][89abAB]..\\u[dD].))")


def json_of(data: bytes, kind: type[_T], place: str = "") -> _T:
    """Return the object in JSON. Raises InvalidArgument, whose field is a JSON pointer below ``place``."""
    try:
        return msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=kind)
    except msgspec.ValidationError as error:
        said = str(error)
        found = _PLACE.search(said)
        path = [] if found is None else _parts(found["path"])
        raise _malformed(kind, path, place, said[: found.start()] if found else said) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(place or "body", f"not JSON: {_fault(data, error)}") from error
    except RecursionError as error:
        raise InvalidArgument(place or "body", "arrays and objects are nested too deep") from error


def _fault(data: bytes, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return "half a surrogate pair" if _HALF_PAIR.search(data) else str(error)


def _malformed(kind: type[msgspec.Struct], path: Sequence[str], place: str, said: str) -> InvalidArgument:
    """Return the error of a fault that msgspec found, with the member's own name where one is missing or unknown."""
    pointer = place + "".join(f"/{part}" for part in path)
    named = _MEMBER.fullmatch(said)
    if named is None:
        too_many = _TOO_MANY.match(said)
        if too_many is not None:
            return TooManyItems(pointer, f"more than {too_many['most']}")
        return InvalidArgument(pointer or "body", _reworded(kind, pointer, said))
    member = f"{pointer}/{named['name'].replace('~', '~0').replace('/', '~1')}"
    if named["fault"] == "missing required":
        return MissingArgument(member)
    return unknown(member, "member", _members(kind, path))


def _reworded(kind: type[msgspec.Struct], pointer: str, said: str) -> str:
    """Return what msgspec said of the value there, in the words of JSON."""
    if _IMAGE.fullmatch(pointer) and said.startswith("Expected `object"):
        return "must be an object with one of url, base64, upload and picture"
    if said.startswith("Invalid enum value"):
        return f"must be one of {', '.join(_values_of(kind, pointer.rpartition('/')[2]))}"
    return _TYPE.sub(lambda found: _TYPES[found[0]], _WHOLE.sub("a whole number", said))


def _values_of(kind: type[msgspec.Struct], member: str) -> tuple[str, ...]:
    """Return what a member may say that has few values."""
    literal = get_type_hints(kind)[member]
    return next(
        (values for part in (literal, *get_args(literal)) if (values := get_args(part)) and isinstance(values[0], str)),
        (),
    )


def _members(kind: type[msgspec.Struct], path: Sequence[str]) -> tuple[str, ...]:
    """Return the members that the object at that path takes."""
    info: msgspec.inspect.Type | None = msgspec.inspect.type_info(kind)
    for part in path:
        info = _within(info, part)
    struct = _one_of(info, msgspec.inspect.StructType)
    return tuple(field.encode_name for field in struct.fields) if struct else ()


def _within(info: msgspec.inspect.Type | None, part: str) -> msgspec.inspect.Type | None:
    """Return the type of what stands in an object or array there."""
    struct = _one_of(info, msgspec.inspect.StructType)
    for field in struct.fields if struct else ():
        if field.encode_name == part:
            return field.type
    several = _one_of(info, msgspec.inspect.VarTupleType) or _one_of(info, msgspec.inspect.ListType)
    return several.item_type if several else None


def _one_of(info: msgspec.inspect.Type | None, kind: type[_I]) -> _I | None:
    """Return the type if it is of that kind, or else the one of a union's; what is said of a type beside it does not count."""
    if isinstance(info, kind):
        return info
    inner: tuple[msgspec.inspect.Type, ...] = ()
    if isinstance(info, msgspec.inspect.Metadata):
        inner = (info.type,)
    elif isinstance(info, msgspec.inspect.UnionType):
        inner = info.types
    return next(filter(None, (_one_of(one, kind) for one in inner)), None)


def _parts(path: str) -> list[str]:
    """Return the parts of a path as msgspec writes it, ``.a[0].b`` or ``[...]`` for any index."""
    return [part for found in re.findall(r"\.([^.\[\]]+)|\[([^\]]*)\]", path) for part in found if part]
