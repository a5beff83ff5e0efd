"""An export: libraries into an archive, while others write to them.

Each row is as it was at its revision. A row whose original goes while it is written is read again; what has been deleted
by then is left out, and so is a picture whose original is not the file that was added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec

import lookalike
from lookalike.domain.library import Kind, Library
from lookalike.domain.picture import Picture, source_key
from lookalike.errors import InvalidArgument
from lookalike.ports import Catalog, MapStore, PictureStore
from lookalike.transfer.archive_format import (
    ALIASES,
    FORMAT,
    MANIFEST,
    PLAN,
    VERSION,
    Alias,
    ArchivedLibrary,
    FileSum,
    Manifest,
    Part,
    Plan,
    part_name,
    read_json,
)
from lookalike.transfer.archive_part import PartWriter, sum_of, write_durably
from lookalike.transfer.rows import SourceError

#: Rows read at a time.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Stored:
    """The stores that an export reads."""

    catalog: Catalog
    originals: PictureStore
    maps: MapStore


@dataclass(slots=True)
class Exported:
    """What an export has written, and the pictures whose originals are lost or damaged, as ``library/id``."""

    manifest: Manifest
    lost: list[str] = field(default_factory=list)


class Export:
    """An export of libraries into a folder, which is new, empty, or has an unfinished export of the same libraries.

    Raises InvalidArgument for another folder, and SourceError if the unfinished export there is damaged.
    """

    def __init__(self, stored: Stored, libraries: Sequence[Library], folder: Path) -> None:
        self._stored = stored
        self._libraries = libraries
        self._folder = folder
        self._lost: list[str] = []
        self._parts = self._begun()

    @property
    def done(self) -> int:
        """Rows that an earlier run has written."""
        return sum(part.rows for part in self._parts)

    def run(self, tell: Callable[[int], None]) -> Exported:
        """Write what is not written yet; ``tell`` is called with the number of rows written so far."""
        for library in self._libraries:
            self._library(library, tell)
        manifest = self._manifest(self._aliases()).sealed()
        write_durably(self._folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        self._remove_traces()
        return Exported(manifest, self._lost)

    def _remove_traces(self) -> None:
        """Remove what only an unfinished export needs, best effort: all that it says stands in the manifest."""
        for name in (PLAN, *(part_name(part.number) for part in self._parts)):
            with suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)

    def _begun(self) -> list[Part]:
        """Prepare the folder; return the parts that are in it."""
        if (self._folder / MANIFEST).exists():
            raise InvalidArgument("destination", f"{self._folder} holds an archive already; name another folder")
        plan = Plan(FORMAT, VERSION, tuple(ArchivedLibrary.of(library) for library in self._libraries))
        if not (self._folder / PLAN).exists():
            if self._folder.exists() and (not self._folder.is_dir() or any(self._folder.iterdir())):
                raise InvalidArgument("destination", f"{self._folder} is not empty; name another folder")
            self._folder.mkdir(parents=True, exist_ok=True)
            write_durably(self._folder / PLAN, msgspec.json.format(msgspec.json.encode(plan)))
            return []
        if [one.uid for one in read_json(self._folder / PLAN, Plan).libraries] != [one.uid for one in plan.libraries]:
            raise InvalidArgument("destination", f"{self._folder} has an unfinished export of other libraries")
        for left in self._folder.glob("*.part"):
            left.unlink()
        parts: list[Part] = []
        while (self._folder / part_name(len(parts))).exists():
            parts.append(read_json(self._folder / part_name(len(parts)), Part))
        return parts

    def _library(self, library: Library, tell: Callable[[int], None]) -> None:
        written = [part for part in self._parts if part.library == library.name]
        rows = self._rows(library, written[-1].last if written else None)
        picture = next(rows, None)
        while picture is not None:
            with PartWriter(self._folder, len(self._parts), library.name) as part:
                while picture is not None and not part.is_full:
                    self._write(part, library, picture)
                    picture = next(rows, None)
                if part.rows:
                    self._parts.append(part.seal())
            tell(self.done)

    def _rows(self, library: Library, after: str | None) -> Iterator[Picture]:
        while page := self._stored.catalog.pictures(library.uid, after, _PAGE):
            after = page[-1].key.id
            yield from (row for row in page if row.live)

    def _write(self, part: PartWriter, library: Library, row: Picture) -> None:
        current: Picture | None = row
        while current is not None and current.live:
            original = self._stored.originals.get(current.object_key)
            key = current.object_key
            maps = self._stored.maps.maps([key]) if current.kind is Kind.SAME else {}
            if original is not None and sha256(original).hexdigest() == current.file_digest:
                part.add(current, original, maps.get(key), self._stored.originals.get(source_key(key)))
                return
            newer = self._stored.catalog.picture(current.key)
            if newer is not None and newer.revision == current.revision:
                self._lost.append(f"{library.name}/{current.key.id}")
                return
            current = newer

    def _aliases(self) -> FileSum | None:
        """Write the names that other services knew pictures by; return None if there are none."""
        path = self._folder / f"{ALIASES}.part"
        with path.open("wb") as file:
            for library in self._libraries:
                after = ""
                while page := self._stored.catalog.aliases(library.uid, after, _PAGE):
                    after = page[-1][0]
                    file.writelines(msgspec.json.encode(Alias(library.name, *one)) + b"\n" for one in page)
        found = sum_of(path, durable=True)
        if not found.length:
            path.unlink()
            return None
        path.replace(self._folder / ALIASES)
        return found

    def _manifest(self, aliases: FileSum | None) -> Manifest:
        models: Counter[str] = Counter()
        for part in self._parts:
            models.update(part.models)
        return Manifest(
            format=FORMAT,
            version=VERSION,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            by=f"lookalike {lookalike.__version__}",
            libraries=tuple(ArchivedLibrary.of(library) for library in self._libraries),
            rows=self.done,
            models=dict(models),
            parts=tuple(self._parts),
            aliases=aliases,
        )


def chosen(catalog: Catalog, tenant: str, names: Sequence[str]) -> Sequence[Library]:
    """Return the libraries of these names; all of the tenant's without any. Raises SourceError if one is not there."""
    libraries = {library.name: library for library in catalog.libraries(tenant)}
    if unknown := [name for name in names if name not in libraries]:
        raise SourceError(f"there is no library {', '.join(unknown)}; there are {', '.join(libraries) or 'none'}")
    return [libraries[name] for name in dict.fromkeys(names or libraries)]
