"""What a check of the stores against each other finds, and its report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from lookalike.domain.inventory import IndexEntry
from lookalike.domain.picture import Key, Picture


class Fault(StrEnum):
    """A difference between the catalog, which is the truth, and another store; in the order of the harm it does."""

    GHOST = "ghost"  #: searches find it, although it is deleted or gone
    STALE = "stale"  #: searches find it as it was before its last change
    MISSING = "missing"  #: it is live, and searches do not find it
    OTHER_MODEL = "other_model"  #: its vector is of another model than searches use, so they do not find it
    UNLIKE = "unlike"  #: its vector is not the one that the model makes of its original
    NOT_FIRST = "not_first"  #: searched by its own original, it is not the first to be found
    NO_ORIGINAL = "no_original"  #: its original is lost, or is another file
    NO_MAP = (
        "no_map"  #: its local map is lost, or is not the one that the model makes of its original: nothing proves it
    )
    UNREADABLE = "unreadable"  #: its row cannot be read
    NO_LIBRARY = "no_library"  #: its library is not in the catalog, so that nobody can search or delete it
    WRONG_SIGN = "wrong_sign"  #: callers are told an old sign of it that names another picture, or none, or that it would not get back
    SHARED_SIGN = "shared_sign"  #: the old sign that callers are told of it is another picture's own, so neither's name
    ORPHAN_ENTRY = "orphan_entry"  #: the index keeps an entry, hidden, that no row is of
    ORPHAN_FILE = "orphan_file"  #: a file beside the originals that no row points to
    ORPHAN_MAP = "orphan_map"  #: a local map that no row points to


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One difference. ``name`` is the picture's library (uid) and id, or the file's or map's own name.

    ``row`` is the picture's, unless it has none; ``entry`` is the index's, as it was looked at last.
    """

    fault: Fault
    name: str
    row: Picture | None = None
    entry: IndexEntry | None = None

    @property
    def key(self) -> Key | None:
        """The picture's key; None of files and maps."""
        found = self.row or self.entry
        return None if found is None else found.key


@dataclass(frozen=True, slots=True)
class Totals:
    """What a check has read: rows in any state, live ones of them, index entries, files and maps.

    ``removed`` are live rows of removed libraries, which wait to be swept; they are not among ``live``.
    """

    rows: int = 0
    live: int = 0
    entries: int = 0
    files: int = 0
    maps: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a check.

    ``began`` is Unix milliseconds. ``found`` and ``mended`` count differences; ``examples`` names those of each, or the first
    ones: pictures by their library's name and id, with the tenant before them where there are several.
    ``settling`` are differences of pictures changed too short a time ago to be judged. ``deep`` is the number of originals
    that were embedded again. ``sweep_due`` is the Unix millisecond from which the last removed library is swept.
    """

    began: int
    seconds: float
    totals: Totals
    found: Mapping[Fault, int] = field(default_factory=dict)
    mended: Mapping[Fault, int] = field(default_factory=dict)
    examples: Mapping[Fault, tuple[str, ...]] = field(default_factory=dict)
    settling: int = 0
    deep: int = 0
    sweep_due: int | None = None

    @property
    def left(self) -> int:
        """The differences that are there still."""
        return sum(self.found.values()) - sum(self.mended.values())

    def with_examples(self, count: int) -> Report:
        """Return the report with so many examples of each fault at most."""
        return replace(self, examples={fault: names[:count] for fault, names in self.examples.items()})

    def to_json(self) -> str:
        """Return the report as JSON of its fields."""
        return json.dumps(asdict(self) | {"left": self.left})

    @classmethod
    def of_json(cls, text: str) -> Report:
        """Return the report of :meth:`to_json`. Raises KeyError, TypeError or ValueError for other text."""
        values = json.loads(text)
        del values["left"]
        for name in ("found", "mended"):
            values[name] = {Fault(fault): count for fault, count in values[name].items()}
        values["examples"] = {Fault(fault): tuple(names) for fault, names in values["examples"].items()}
        return cls(**values | {"totals": Totals(**values["totals"])})
