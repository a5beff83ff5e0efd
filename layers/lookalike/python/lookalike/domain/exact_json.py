"""JSON that is returned exactly as it was given: numbers keep their digits.

``json`` alone would turn 1.10 into 1.1 and round large integers, and callers compare what they get with what they sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from lookalike.errors import InvalidArgument

#: Nesting levels of arrays and objects in a stored value.
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written, of any size and precision."""

    text: str


Value: TypeAlias = "dict[str, Value] | list[Value] | str | Number | bool | None"


def read(data: bytes) -> Value:
    """Parse JSON in UTF-8, with or without a byte order mark. Raises InvalidArgument.

    Of an object's members with the same name, the last counts.
    """
    try:
        value: Value = json.loads(
            data.decode("utf-8-sig"), parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as reason:
        raise InvalidArgument("body", "not JSON") from reason
    return value


def compact(value: Value, depth: int = MAX_DEPTH) -> str:
    """Serialize the value without blanks. The result can be encoded in UTF-8: lone surrogates stay escapes.

    Raises InvalidArgument if arrays and objects are nested deeper than ``depth``.
    """
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        return quoted(value)
    if not isinstance(value, (dict, list)):
        return json.dumps(value)
    if not depth:
        raise InvalidArgument("desc", f"deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        return f"[{','.join(compact(one, depth - 1) for one in value)}]"
    return f"{{{','.join(f'{quoted(name)}:{compact(one, depth - 1)}' for name, one in value.items())}}}"


def quoted(text: str) -> str:
    """Serialize text as a JSON string."""
    string = json.dumps(text, ensure_ascii=False)
    return string if is_text(string) else json.dumps(text)


def is_text(text: str) -> bool:
    """Whether the text can be encoded in UTF-8: not if it has a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
