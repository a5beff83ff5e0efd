"""The vendor that pictures come from, and its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.import_target import key_of
from lookalike.cli.screen import note
from lookalike.errors import InvalidArgument, MissingArgument
from lookalike.transfer import qiniu_listing
from lookalike.transfer.columns import SIGNS, Columns
from lookalike.transfer.rows import Source
from lookalike.transfer.sources import open_source


class Vendor(StrEnum):
    """A vendor that pictures come from."""

    QINIU = "qiniu"
    BAIDU = "baidu"
    JUMDATA = "jumdata"


#: What fields are called by vendors whose signs are kept.
_NAMES: Mapping[Vendor | None, Mapping[str, Sequence[str]]] = {
    Vendor.BAIDU: {"sign": (*SIGNS, "sign"), "class_id1": ("class_id1",), "class_id2": ("class_id2",)},
    Vendor.JUMDATA: {"sign": (*reversed(SIGNS), "sign"), "brief": ("description", "brief")},
}

VendorOption = Annotated[
    Vendor | None, typer.Option("--from", help="The vendor that the pictures come from; qiniu is asked for its list.")
]
GroupOption = Annotated[
    str | None,
    typer.Option("--group", help="With --from qiniu: the group. SOURCE is a folder, or a URL with {id} in it."),
]
VendorKeyOption = Annotated[
    str | None, typer.Option("--vendor-key", help="With --from qiniu: ACCESS_KEY:SECRET_KEY there, or @FILE.")
]
VendorUrlOption = Annotated[str, typer.Option("--vendor-url", help="With --from qiniu: its address.")]


def told(vendor: Vendor | None) -> Vendor | None:
    """Return the vendor by whose signs callers are to go on naming pictures; None if it has none."""
    return vendor if vendor in _NAMES else None


@dataclass(frozen=True, slots=True)
class Migration:
    """What the options say of the vendor."""

    vendor: Vendor | None
    group: str | None
    key: str | None
    url: str

    def opened(self, source: Path, mapped: str, encoding: str | None, root: Path | None) -> Source:
        """Return what is imported: the source, or the table that the vendor's list has been written to.

        Raises InvalidArgument or SourceError.
        """
        return open_source(self._table(source), self.columns(mapped), encoding, root or self._root(source))

    def _table(self, source: Path) -> Path:
        if self.vendor is not Vendor.QINIU:
            if self.group is not None or self.key is not None:
                raise InvalidArgument("--group", "goes with --from qiniu, as --vendor-key does")
            return source
        if self.group is None:
            raise MissingArgument("--group")
        table = Path(f"qiniu-{self.group.replace('/', '-')}.jsonl")
        call = qiniu_listing.caller(self.url, key_of(self.key or ""))
        pictures = str(source).replace(":/", "://", 1) if "{id}" in str(source) else str(source)  # Path joins slashes
        rows = qiniu_listing.write_listing(call, self.group, pictures, table)
        note(f"{rows:,} pictures are listed in {table}; remove it to list the group again")
        return table

    def _root(self, source: Path) -> Path | None:
        """Return the folder that the files of the vendor's list are in; None if there is none."""
        return source if self.vendor is Vendor.QINIU and "{id}" not in str(source) else None

    def columns(self, mapped: str) -> Columns:
        """Return which column says what: those of Baidu and Jumdata are known by the names of their parameters, too."""
        return Columns(Columns.parse(mapped).mapped, _NAMES.get(self.vendor, {}))
