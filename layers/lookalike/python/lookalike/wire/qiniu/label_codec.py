"""Labels of any JSON type in a field that holds text: text as it is, anything else as marked JSON."""

from __future__ import annotations

from lookalike.domain import exact_json
from lookalike.domain.exact_json import Value, compact, is_text, quoted
from lookalike.errors import InvalidArgument

#: Stands before JSON. Text that begins with it, or that UTF-8 cannot say, is kept as JSON too.
_MARK = "\0"


def encode(value: Value) -> str:
    """What is kept of a label. Raises InvalidArgument if it is too deep."""
    if isinstance(value, str) and is_text(value) and not value.startswith(_MARK):
        return value
    return _MARK + compact(value)


def encoded_size(text: str) -> int:
    """Bytes in UTF-8 of a label that is kept: of text as it is, of anything else as JSON."""
    return len(text.removeprefix(_MARK).encode())


def to_json(text: str) -> str:
    """A label that is kept, in JSON. It may have come another way than by :func:`encode`; then it is text."""
    if text.startswith(_MARK):
        text_of_json = text.removeprefix(_MARK)
        try:
            return compact(exact_json.read(text_of_json.encode()))
        except InvalidArgument:
            pass
    return quoted(text)
