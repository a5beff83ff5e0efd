"""Names that somebody outside the code relies on: stored data, programs, alarms, operators' scripts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

FROZEN = "this is data or interface: it must not be renamed"


def held(what: str, found: Collection[str], frozen: str) -> None:
    """Asserts that these names are the frozen ones, which are parted by blanks."""
    names = frozen.split()
    assert len(names) == len(set(names)), f"{what}: a name stands in the table twice"
    gone, new = sorted({*names} - {*found}), sorted({*found} - {*names})
    assert not gone, f"{what}: {gone} gone, {new} new; {FROZEN}"
    assert not new, (
        f"{what}: {new} new; add what is meant to be there to the table: from then on it must not be renamed"
    )


def all_held(what: str, found: Mapping[str, Collection[str]], frozen: Mapping[str, str]) -> None:
    """Asserts it of several sets of names, and of the names of the sets."""
    gone, new = sorted(frozen.keys() - found.keys()), sorted(found.keys() - frozen.keys())
    assert not gone, f"{what}: {gone} gone, {new} new; {FROZEN}"
    assert not new, (
        f"{what}: {new} new; add what is meant to be there to the table: from then on it must not be renamed"
    )
    for name, names in frozen.items():
        held(f"{what}, {name}", found[name], names)


def same(what: str, found: Any, frozen: Any) -> None:
    """Asserts that something is stored, or told, in the very form in which it always was."""
    assert found == frozen, f"{what} is {found!r}, and was {frozen!r}; {FROZEN}"
