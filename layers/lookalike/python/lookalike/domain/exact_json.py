"""JSON that has to come back as it was given: numbers keep the digits they were written with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from lookalike.errors import InvalidArgument

#: How deep arrays and objects may lie in each other in what is kept.
DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written. It may be larger, or more exact, than any number of Python's."""

    text: str


Value: TypeAlias = "dict[str, Value] | list[Value] | str | Number | bool | None"


def read(data: bytes) -> Value:
    """What a JSON text says, in UTF-8, with or without a byte order mark. Raises InvalidArgument.

    Of an object's members with the same name, the last counts.
    """
    try:
        value: Value = json.loads(
            data.decode("utf-8-sig"), parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as reason:
        raise InvalidArgument("body", "not JSON") from reason
    return value


def compact(value: Value, depth: int = DEEPEST) -> str:
    """The value as JSON without blanks: in UTF-8 whatever happens, for half a surrogate pair stays an escape.

    Raises InvalidArgument if arrays and objects lie deeper in each other than ``depth``.
    """
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        return quoted(value)
    if not isinstance(value, (dict, list)):
        return json.dumps(value)
    if not depth:
        raise InvalidArgument("desc", f"deeper than {DEEPEST}")
    if isinstance(value, list):
        return f"[{','.join(compact(one, depth - 1) for one in value)}]"
    return f"{{{','.join(f'{quoted(name)}:{compact(one, depth - 1)}' for name, one in value.items())}}}"


def quoted(text: str) -> str:
    """The text as a JSON string."""
    string = json.dumps(text, ensure_ascii=False)
    return string if is_text(string) else json.dumps(text)


def is_text(text: str) -> bool:
    """Whether it can be written in UTF-8: not if it holds half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
