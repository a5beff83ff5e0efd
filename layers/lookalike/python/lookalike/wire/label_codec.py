"""Labels of any JSON type in a field that holds text: text as it is, anything else as marked JSON."""

from __future__ import annotations

from lookalike.domain import exact_json
from lookalike.domain.exact_json import Value, compact, is_text, quoted
from lookalike.errors import InvalidArgument

#: Prefix of stored JSON. Text that begins with it, or that UTF-8 cannot encode, is stored as JSON too.
_MARK = "\0"


def encode(value: Value) -> str:
    """The text that is stored of a label. Raises InvalidArgument if it is nested too deep."""
    if isinstance(value, str) and is_text(value) and not value.startswith(_MARK):
        return value
    return _MARK + compact(value)


def encoded_size(text: str) -> int:
    """Bytes of a stored label in UTF-8: of text as it is, of anything else as JSON."""
    return len(text.removeprefix(_MARK).encode())


def to_json(text: str) -> str:
    """A stored label as JSON. One that :func:`encode` did not make is text."""
    if text.startswith(_MARK):
        text_of_json = text.removeprefix(_MARK)
        try:
            return compact(exact_json.read(text_of_json.encode()))
        except InvalidArgument:
            pass
    return quoted(text)
