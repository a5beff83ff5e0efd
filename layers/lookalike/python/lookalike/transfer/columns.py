"""Which column of a table, or member of its lines, says what: by name, or as ``--map`` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lookalike.errors import InvalidArgument
from lookalike.transfer.rows import FIELDS, PICTURES


@dataclass(frozen=True, slots=True)
class Columns:
    """What the operator has said of columns: the field, and the column's name; an empty name leaves the field out.

    ``named`` are names of fields that nothing is said of, where they differ from the fields' own.
    """

    mapped: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Columns:
        """Return what ``field=column,field=column`` says. Raises InvalidArgument."""
        mapped: dict[str, str] = {}
        for part in text.split(",") if text.strip() else ():
            name, equals, column = (one.strip() for one in part.partition("="))
            if not equals:
                raise InvalidArgument("--map", f"{part.strip()!r} is not field=column")
            if name not in FIELDS:
                raise InvalidArgument("--map", f"{name!r} is none of {', '.join(FIELDS)}")
            if name in mapped:
                raise InvalidArgument("--map", f"{name} stands there twice")
            mapped[name] = column
        return cls(mapped)

    def names(self) -> Mapping[str, str]:
        """Return each field's name of a column, in lower case, without fields that are left out."""
        mapped = {field_: name.casefold() for field_, name in self.mapped.items() if name}
        others = {field_: self.named.get(field_, field_) for field_ in FIELDS if field_ not in self.mapped}
        return {**{field_: name for field_, name in others.items() if name not in mapped.values()}, **mapped}

    def of(self, header: Sequence[str], table: str) -> Mapping[str, str]:
        """Return the field of each column that has one.

        Raises InvalidArgument if a mapped column is not there, two have one name, or none names a picture.
        """
        clean = {name.strip().casefold(): name for name in header}
        for column in self.mapped.values():
            if column and column.casefold() not in clean:
                raise InvalidArgument("--map", f"{table} has no column {column!r}; it has {_listed(header)}")
        folded = [name.strip().casefold() for name in header]
        if twice := [clean[name] for name in self.names().values() if folded.count(name) > 1]:
            raise InvalidArgument("--map", f"{table} has two columns called {twice[0]!r}")
        found = {field_: clean[name] for field_, name in self.names().items() if name in clean}
        if not found.keys() & set(PICTURES):
            reason = f"no column is called {', '.join(PICTURES)}; its first line is {_listed(header)}"
            raise InvalidArgument("--map", f"{table}: {reason}; say which it is: --map file=COLUMN")
        return {column: field_ for field_, column in found.items()}

    def unused(self, header: Sequence[str], table: str) -> Sequence[str]:
        """Return the names of columns that say nothing of pictures."""
        used = self.of(header, table)
        return [name for name in header if name not in used and name.strip()]


def _listed(header: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in header[:12]) or "empty"
