"""Which column of a table, or member of its lines, says what: by name, or as ``--map`` has it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from lookalike.errors import InvalidArgument
from lookalike.transfer.rows import FIELDS, PICTURES

#: Fields that no column is called by unless a vendor's names are known: a column may be called so for another reason.
_BY_VENDOR = frozenset({"class_id1", "class_id2"})

#: What Baidu and Jumdata call a picture's sign.
SIGNS = ("cont_sign", "contsign")

#: Names that a note lists at most.
MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Columns:
    """What the operator has said of columns: the field, and the column's name; an empty name leaves the field out.

    ``named`` are names, in lower case, of fields that nothing is said of, where they differ from the fields' own; the first
    one that is there counts.
    """

    mapped: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)

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

    def names(self) -> Mapping[str, Sequence[str]]:
        """Return the names of columns that each field may have, in lower case, without fields that are left out."""
        mapped = {field_: (name.casefold(),) for field_, name in self.mapped.items() if name}
        taken = {name for (name,) in mapped.values()}
        others = {
            field_: [name for name in self._known(field_) if name not in taken]
            for field_ in FIELDS
            if field_ not in self.mapped
        }
        return {**others, **mapped}

    def _known(self, field_: str) -> Sequence[str]:
        return self.named.get(field_, () if field_ in _BY_VENDOR else (field_,))

    def of(self, header: Sequence[str], table: str) -> Mapping[str, str]:
        """Return the field of each column that has one.

        Raises InvalidArgument if a mapped column is not there, two have one name, or none names a picture.
        """
        clean = {name.strip().casefold(): name for name in header}
        for column in self.mapped.values():
            if column and column.casefold() not in clean:
                raise InvalidArgument("--map", f"{table} has no column {column!r}; it has {_listed(header)}")
        folded = [name.strip().casefold() for name in header]
        found = fields_of(self.names(), clean)
        if twice := [clean[name] for name in found.values() if folded.count(name) > 1]:
            raise InvalidArgument("--map", f"{table} has two columns called {twice[0]!r}")
        if not found.keys() & set(PICTURES):
            reason = f"no column is called {', '.join(PICTURES)}; its first line is {_listed(header)}"
            raise InvalidArgument("--map", f"{table}: {reason}; say which it is: --map file=COLUMN")
        return {clean[name]: field_ for field_, name in found.items()}

    def unused(self, header: Sequence[str], table: str) -> Sequence[str]:
        """Return the names of columns that say nothing of pictures."""
        used = self.of(header, table)
        return [name for name in header if name not in used and name.strip()]


def fields_of(names: Mapping[str, Sequence[str]], there: Container[str]) -> Mapping[str, str]:
    """Return each field's name, of those that are there."""
    found = {field_: next((name for name in some if name in there), None) for field_, some in names.items()}
    return {field_: name for field_, name in found.items() if name is not None}


def column_of(fields: Mapping[str, str], field_: str) -> str:
    """Return what a table calls a field, whose columns are given with their fields: others may stand in its place."""
    called = {name: column.strip() for column, name in fields.items()}
    others = {"sign": ("id",), "tags": ("class_id1", "class_id2")}.get(field_, ())
    return called.get(field_) or ", ".join(called[name] for name in others if name in called) or field_


def notes_of_unused(what: str, names: Sequence[str], fields: Mapping[str, str]) -> Sequence[str]:
    """Return what to say of columns or members that say nothing, and of a vendor's sign among them that nobody takes."""
    if not names:
        return []
    more = ", and others" if len(names) > MAX_LISTED else ""
    said = [f"{what} that say nothing here: {', '.join(names[:MAX_LISTED])}{more}"]
    sign = next((name for name in names if name.strip().casefold() in SIGNS), None)
    if sign is not None and "sign" not in fields.values():
        said.append(f"{sign} is what Baidu and Jumdata call a picture: --from baidu or --from jumdata keeps it")
    return said


def _listed(header: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in header[:12]) or "empty"
