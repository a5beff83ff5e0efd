"""Values of the domain as JSON can write them, and back: by the types of dataclasses' fields."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

#: Types that are written as they are.
_ATOMS = (str, int, float, bool, type(None))


def to_plain(value: object) -> Any:
    """Return lists, texts, numbers, booleans and None for a dataclass, an enumeration, a tuple, or a set of texts."""
    if is_dataclass(value):
        return [to_plain(getattr(value, one.name)) for one in fields(value)]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [to_plain(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return value if isinstance(value, _ATOMS) else value.item()  # type: ignore[attr-defined]  # a number of NumPy's


def from_plain(kind: type[T], plain: Any) -> T:
    """Return the value of this type that :func:`to_plain` was given. Raises ValueError or TypeError for another's."""
    hashable: Any = kind
    value: T = _reader(hashable)(plain)
    return value


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    if is_dataclass(kind):
        return _dataclass_reader(kind)
    origin, of = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _optional_reader(of)
    if origin in (tuple, frozenset):
        return _sequence_reader(origin, of)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if kind in _ATOMS:
        return lambda plain: plain
    raise TypeError(f"no plain form of {kind}")


def _dataclass_reader(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = [_reader(hints[one.name]) for one in fields(kind)]
    return lambda plain: kind(*(read(one) for read, one in zip(readers, plain, strict=True)))


def _optional_reader(of: tuple[Any, ...]) -> Callable[[Any], Any]:
    (other,) = (one for one in of if one is not type(None))
    read = _reader(other)
    return lambda plain: None if plain is None else read(plain)


def _sequence_reader(origin: Any, of: tuple[Any, ...]) -> Callable[[Any], Any]:
    if origin is frozenset or of[1:] == (Ellipsis,):
        each = _reader(of[0])
        return lambda plain: origin(each(one) for one in plain)
    readers = [_reader(one) for one in of]
    return lambda plain: tuple(read(one) for read, one in zip(readers, plain, strict=True))
