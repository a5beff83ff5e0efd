"""Comparison of what all stores hold, in one pass over each, in bounded memory.

Nothing is held of a picture but hashes of 64 bits, and those in temporary files, parted by their first bits: each part is
compared by itself. So ten million pictures take some 100 MB of memory and 800 MB of disk, and no store has to list in an
order of ours, which none of them could. Two pictures share a hash once in 400,000 libraries of ten million; every
difference is looked at again by its name before it is reported.

What is derived is listed before the catalog: a picture added meanwhile is then in the catalog at least, and too young to be
judged. One that is removed meanwhile has been removed from the index before its row.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.consistency import Totals
from lookalike.domain.inventory import IndexEntry, StoredFile, StoredMap
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture, State, companion_keys, digest_prefix
from lookalike.ports import Ports

#: First bits of a hash that choose its part. A part of ten million pictures has 625,000.
_PART_BITS = 4

#: Aliases that are read at once.
_PAGE = 1000

#: Of a live entry's contents, the bit that says so, above those of its model's checksum.
_LIVE = 1 << 15

_UINT64 = (1 << 64) - 1

T = TypeVar("T")

Hashes = NDArray[np.uint64]
"""Hashes, sorted."""

NO_HASHES: Hashes = np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What differs at first sight, as hashes of keys and names, each array sorted; and what was read.

    ``ghosts``, ``hidden``, ``stale`` and ``missing`` are hashes of :func:`key_hash`, the others of :func:`name_hash`.
    Files and maps are lost, too, where their size tells that they are damaged. ``sample`` are live rows of the present model,
    drawn at random. ``libraries`` are the uids of all live rows' libraries. ``wrong_signs`` are old signs of rows whose aliases
    they are not, and ``shared_signs`` those that are another row's own, as hashes of :func:`sign_hash`. Rows of removed
    libraries are neither live nor of another model nor drawn, and have no sign.
    """

    totals: Totals
    ghosts: Hashes
    hidden: Hashes
    stale: Hashes
    missing: Hashes
    lost_files: Hashes
    orphan_files: Hashes
    lost_maps: Hashes
    orphan_maps: Hashes
    wrong_signs: Hashes
    shared_signs: Hashes
    other_models: int
    unreadable: int
    sample: Sequence[Picture]
    libraries: Set[str]


def key_hash(kind: Kind, key: Key) -> int:
    """Return the hash of a picture in the index of its kind."""
    return name_hash(f"{kind}\0{key.library}\0{key.id}")


def name_hash(name: str) -> int:
    """Return the hash of a file's or a map's name."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def sign_hash(library: str, prefix: str) -> int:
    """Return the hash of a sign in a library (uid), given as the first digits of a digest."""
    return name_hash(f"{library}\0{prefix}")


def are_among(hashes: Iterable[int], wanted: Hashes) -> list[bool]:
    """Return for each hash whether it is among the wanted ones."""
    given = np.fromiter(hashes, np.uint64)
    if not len(wanted):
        return [False] * len(given)
    places = np.minimum(np.searchsorted(wanted, given), len(wanted) - 1)
    found: list[bool] = np.equal(wanted[places], given).tolist()
    return found


def survey(
    ports: Ports,
    folder: Path,
    deep: int = 0,
    *,
    map_size: int,
    removed: Set[str] = frozenset(),
    signed: Set[str] = frozenset(),
) -> Survey:
    """List all stores into an empty folder, and compare them. Raises Unavailable, or OSError if the folder's disk is full.

    ``deep`` rows are drawn for the sample. ``map_size`` is the bytes of every map that the present model makes, 0 if it makes
    none. ``removed`` are libraries (uid) that wait to be swept, and ``signed`` those whose old signs are looked at.
    """
    with ExitStack() as opened:
        lists = _Lists(*(opened.enter_context(_List(folder / name, columns)) for name, columns in _LISTS))
        entries = _add_all(lists.entries, ports.index.entries(), _entry_numbers)
        files = _add_all(lists.files, ports.originals.stored(), _file_numbers)
        maps = _add_all(lists.maps, ports.maps.stored_maps(), _map_numbers)
        aliased = {uid for uid in signed - removed if _add_all(lists.aliases, _aliases(ports, uid), _alias_numbers)}
        rows = _Rows(ports, lists, deep, map_size=map_size, removed_libraries=removed, signed=signed, aliased=aliased)
        for batch in ports.catalog.every_row():
            rows.add(batch)
        indexed = _joined(_compare_entries(*parts) for parts in _parts(lists.rows, lists.entries))
        stored = _joined(_compare_presence(*parts) for parts in _parts(lists.expected_files, lists.files))
        mapped = _joined(_compare_presence(*parts) for parts in _parts(lists.expected_maps, lists.maps))
        signs = _joined(_compare_signs(*parts) for parts in _parts(lists.old_signs, lists.aliases, lists.own_signs))
    return Survey(
        Totals(rows.read, rows.live, entries, files, maps, rows.removed),
        **dict(zip(("ghosts", "hidden", "stale", "missing"), indexed, strict=True)),
        **dict(zip(("lost_files", "orphan_files"), stored, strict=True)),
        **dict(zip(("lost_maps", "orphan_maps"), mapped, strict=True)),
        **dict(zip(("wrong_signs", "shared_signs"), signs, strict=True)),
        other_models=rows.other_models,
        unreadable=rows.unreadable,
        sample=rows.sample,
        libraries=rows.libraries,
    )


class _List:
    """Rows of 64-bit numbers in files of a folder, parted by the first bits of each row's first number."""

    def __init__(self, folder: Path, columns: int) -> None:
        folder.mkdir()
        self._columns = columns
        self._files: list[IO[bytes]] = [(folder / str(part)).open("w+b") for part in range(1 << _PART_BITS)]

    def __enter__(self) -> _List:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def add(self, rows: Sequence[tuple[int, ...]]) -> None:
        """Append rows of this list's number of columns."""
        if not rows:
            return
        numbers = np.array(rows, np.uint64)
        parts = numbers[:, 0] >> np.uint64(64 - _PART_BITS)
        for part in np.unique(parts).tolist():
            self._files[part].write(numbers[parts == part].tobytes())

    def parts(self) -> Iterator[Hashes]:
        """Yield each part, shape (n, columns), sorted by the first column."""
        for file in self._files:
            file.seek(0)
            numbers = np.frombuffer(file.read(), np.uint64).reshape(-1, self._columns)
            yield numbers[np.argsort(numbers[:, 0], kind="stable")]


@dataclass(frozen=True, slots=True)
class _Lists:
    rows: _List
    entries: _List
    expected_files: _List
    files: _List
    expected_maps: _List
    maps: _List
    old_signs: _List
    aliases: _List
    own_signs: _List


#: Names and columns of the lists. Beside a hash stand contents or a size, and beside that of a sign, that of an id.
_LISTS = (
    ("rows", 2),
    ("entries", 2),
    ("expected-files", 2),
    ("files", 2),
    ("expected-maps", 2),
    ("maps", 2),
    ("old-signs", 2),
    ("aliases", 2),
    ("own-signs", 2),
)

#: What stands for a size: of what need not be there, or whose size its store does not tell; and of what must be there and
#: may have any size but none. Any other is one more than the bytes.
_NO_SIZE, _ANY_SIZE = 0, 1


@dataclass(slots=True)
class _Rows:
    """Lists what the catalog's rows expect of the other stores, and counts them."""

    ports: Ports
    lists: _Lists
    deep: int
    map_size: int = field(kw_only=True)
    removed_libraries: Set[str] = field(kw_only=True)
    signed: Set[str] = field(kw_only=True)
    aliased: Set[str] = field(kw_only=True)
    read: int = 0
    live: int = 0
    removed: int = 0
    other_models: int = 0
    unreadable: int = 0
    sample: list[Picture] = field(default_factory=list)
    libraries: set[str] = field(default_factory=set)

    def add(self, batch: Sequence[Picture]) -> None:
        """List a batch of rows. One that cannot be read expects nothing."""
        readable = [row for row in batch if row.state is not State.DAMAGED]
        self.read += len(batch)
        self.unreadable += len(batch) - len(readable)
        model = self.ports.embedder.model
        name_of = self.ports.originals.name_of
        rows, files, maps, old_signs, own_signs = [], [], [], [], []
        for row in readable:
            is_removed = row.key.library in self.removed_libraries
            counts = row.live and not is_removed
            current = counts and row.model == model
            self.live += counts
            self.removed += row.live and is_removed
            self.other_models += counts and not current
            rows.append((key_hash(row.kind, row.key), contents_of(row.live, row.revision, row.model)))
            files.append((name_hash(name_of(row.object_key)), _expected_size(row)))
            files.extend((name_hash(name_of(key)), _NO_SIZE) for key in companion_keys(row.object_key))
            has_map = current and row.kind is Kind.SAME and self.map_size > 0
            maps.append((name_hash(row.object_key), self.map_size + 1 if has_map else _NO_SIZE))
            if counts:
                self.libraries.add(row.key.library)
            if counts and row.key.library in self.aliased:
                own_signs.append((sign_hash(row.key.library, row.key.id[:16]), name_hash(row.key.id)))
            if counts and row.metadata.old_sign and row.key.library in self.signed:
                old_signs += expected_aliases(row)
            if self.deep and current:
                self._draw(row)
        self.lists.rows.add(rows)
        self.lists.expected_files.add(files)
        self.lists.expected_maps.add(maps)
        self.lists.old_signs.add(old_signs)
        self.lists.own_signs.add(own_signs)

    def _draw(self, row: Picture) -> None:
        """Keep the row with equal chance among all (Vitter, algorithm R)."""
        if len(self.sample) < self.deep:
            self.sample.append(row)
        elif (place := random.randrange(self.live)) < self.deep:  # noqa: S311 - no secret
            self.sample[place] = row


def contents_of(live: bool, revision: int, model: str) -> int:
    """Return what searches see of an entry or a row as one number; 0 if they see nothing."""
    return (revision << 16 | _LIVE | crc32(model.encode()) & (_LIVE - 1)) & _UINT64 if live else 0


def expected_aliases(row: Picture) -> list[tuple[int, int]]:
    """Return what the aliases must say of a row with an old sign: that it is this picture's, and that the picture has it."""
    library, id_, prefix = row.key.library, row.key.id, digest_prefix(row.metadata.old_sign) or ""
    return [_alias_numbers((library, prefix, id_)), _alias_numbers((library, id_, prefix))]


def _aliases(ports: Ports, library: str) -> Iterator[Sequence[tuple[str, str, str]]]:
    """Yield a library's aliases in batches, each with the library."""
    after = ""
    while page := ports.catalog.aliases(library, after, _PAGE):
        after = page[-1][0]
        yield [(library, name, id_) for name, id_ in page]


def _alias_numbers(alias: tuple[str, str, str]) -> tuple[int, int]:
    library, name, id_ = alias
    return sign_hash(library, name), name_hash(id_)


def _entry_numbers(entry: IndexEntry) -> tuple[int, int]:
    return key_hash(entry.kind, entry.key), contents_of(entry.live, entry.revision, entry.model)


def _expected_size(row: Picture) -> int:
    """Return what stands for the size that a row's original must have."""
    if not row.live:
        return _NO_SIZE
    return _ANY_SIZE if row.file_size is None or row.file_size < 1 else row.file_size + 1


def _file_numbers(file: StoredFile) -> tuple[int, int]:
    return name_hash(file.name), file.size + 1


def _map_numbers(stored: StoredMap) -> tuple[int, int]:
    return name_hash(stored.key), _NO_SIZE if stored.size is None else stored.size + 1


def _add_all(into: _List, batches: Iterable[Sequence[T]], numbers: Callable[[T], tuple[int, ...]]) -> int:
    """List all batches; return the number of rows."""
    count = 0
    for batch in batches:
        into.add([numbers(one) for one in batch])
        count += len(batch)
    return count


def _parts(*lists: _List) -> Iterator[tuple[Hashes, ...]]:
    return zip(*(one.parts() for one in lists), strict=True)


def _joined(parts: Iterable[tuple[Hashes, ...]]) -> list[Hashes]:
    """Return each difference of all parts, sorted."""
    return [np.sort(np.concatenate(one)) for one in zip(*parts, strict=True)]


def _compare_entries(rows: Hashes, entries: Hashes) -> tuple[Hashes, Hashes, Hashes, Hashes]:
    """Return ghosts, hidden entries without a row, stale ones and missing ones of a part."""
    expected, has_row = _matched(entries[:, 0], rows)
    seen = entries[:, 1] != 0
    wanted = expected != 0
    hashes = entries[:, 0]
    _, has_entry = _matched(rows[:, 0], entries)
    absent = rows[:, 0][(rows[:, 1] != 0) & ~has_entry]
    return (
        hashes[seen & ~wanted],
        hashes[~seen & ~has_row],
        hashes[seen & wanted & (expected != entries[:, 1])],
        np.concatenate([hashes[~seen & wanted], absent]),
    )


def _compare_presence(expected: Hashes, held: Hashes) -> tuple[Hashes, Hashes]:
    """Return what must be there and is not, or not in that size; and what is there for no row."""
    size, there = _matched(expected[:, 0], held)
    _, known = _matched(held[:, 0], expected)
    wanted = expected[:, 1]
    is_damaged = (size == 1) | (size > 1) & (wanted > _ANY_SIZE) & (size != wanted)
    return expected[:, 0][(wanted != _NO_SIZE) & (~there | is_damaged)], held[:, 0][~known]


def _compare_signs(old: Hashes, aliases: Hashes, own: Hashes) -> tuple[Hashes, Hashes]:
    """Return the old signs that are aliases of other rows or of none, and those that are other rows' own."""
    named, there = _matched(old[:, 0], aliases)
    owner, is_own = _matched(old[:, 0], own)
    return old[:, 0][~there | (named != old[:, 1])], old[:, 0][is_own & (owner != old[:, 1])]


def _matched(hashes: Hashes, table: Hashes) -> tuple[Hashes, NDArray[np.bool_]]:
    """Return the last column of each hash's row of a sorted table, 0 where there is none, and whether there is one."""
    if not len(table):
        return np.zeros(len(hashes), np.uint64), np.zeros(len(hashes), np.bool_)
    places = np.minimum(np.searchsorted(table[:, 0], hashes), len(table) - 1)
    there = np.equal(table[places, 0], hashes)
    return np.where(there, table[places, -1], np.uint64(0)), there
