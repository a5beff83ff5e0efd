"""JSON joined from parts that are JSON text already.

A caller's label and desc go back with the digits that they came with. Parsing would turn their numbers into the nearest
ones that Python has, so an answer is joined as text and never dumped as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable


def json_object(**members: str) -> str:
    """The object of these members, in their order."""
    return "{" + ",".join([f'"{name}":{text}' for name, text in members.items()]) + "}"


def json_array(items: Iterable[str]) -> str:
    """The array of these items."""
    return f"[{','.join(items)}]"


def success(**members: str) -> str:
    """The body of an answer with a result: the vendor's code and message of success before the members."""
    return json_object(code="0", message='""', **members)
