"""Putting an archive's pictures back: rows, vectors, maps and originals as they were, without embedding them again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import islice

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture, State, digest_prefix, next_revision, source_key
from lookalike.errors import (
    Busy,
    InvalidArgument,
    LibraryFull,
    LookalikeError,
    Unavailable,
)
from lookalike.ports import Ports
from lookalike.service.add import Attempt, embed, second_embedding, write
from lookalike.service.capacity import limited, place
from lookalike.service.catalog_writes import MAX_ATTEMPTS, publish_to_index, write_row
from lookalike.service.embedded_again import UNBOUNDED
from lookalike.service.image_source import Source, load
from lookalike.service.libraries import create_library, get_or_create_library
from lookalike.service.model_view import current
from lookalike.service.old_signs import bring_aliases, require_free, require_sign
from lookalike.transfer.archive_format import ArchivedLibrary, Record
from lookalike.transfer.archive_source import ArchivedRow, ArchiveSource, Contents
from lookalike.transfer.journal import Entry
from lookalike.transfer.outcomes import Outcome, Result
from lookalike.transfer.rows import SourceError
from lookalike.transfer.target import TargetError, Work, full, reason_of

#: Aliases that are written at a time.
_ALIASES = 500


class ArchiveTarget:
    """Libraries of an application that take an archive's pictures; those that are not there are made.

    Parameters
    ----------
    rename : the name that the archive's only library gets here.
    reembed : make vectors and maps anew where the archive's are of another model.

    Raises
    ------
    InvalidArgument : the archive's model is another one and ``reembed`` does not allow it, or a library is there with
        another kind or identity. Nothing has been changed then.
    """

    identity = Identity.OWN
    rows_per_call = 8

    def __init__(
        self,
        ports: Ports,
        application: Application,
        archive: ArchiveSource,
        *,
        rename: str | None = None,
        reembed: bool = False,
        make: bool = True,
    ) -> None:
        self._raw = limited(ports, application)
        self._archive = archive
        self._check_model(reembed)
        names = {name: rename or name for name in archive.libraries}
        there = {name: ports.catalog.library(application.tenant, here) for name, here in names.items()}
        for name, library in there.items():
            _check_alike(archive.libraries[name], library)
        self._libraries: dict[str, Library] = {}
        for name, library in there.items():
            found = library or (self._made(application, archive.libraries[name], names[name]) if make else None)
            if found is not None:
                self._libraries[name] = found
        if make:
            self._bring_aliases(new={name for name, library in there.items() if library is None})

    def _bring_aliases(self, new: Set[str]) -> None:
        """Store the names that other services knew the pictures by, before these: those that have no picture say nothing."""
        left = self._archive.aliases()
        while some := [*islice(left, _ALIASES)]:
            for name, library in self._libraries.items():
                own = {one.alias: one.id for one in some if one.library == name}
                if name in new:
                    self._ports.catalog.save_aliases(library.uid, own)
                else:
                    bring_aliases(self._ports, library.uid, own)

    @property
    def _ports(self) -> Ports:
        """The ports with the model that searches use now: an import may last for hours."""
        return current(self._raw)

    def _check_model(self, reembed: bool) -> None:
        others = sorted(self._archive.models() - {self._ports.embedder.model})
        if others and not reembed:
            raise InvalidArgument(
                "--reembed",
                f"the archive's vectors are of the model {', '.join(others)}, and here it is {self._ports.embedder.model}: "
                "--reembed makes them again from the originals",
            )

    def _made(self, application: Application, said: ArchivedLibrary, name: str) -> Library:
        ref = LibraryRef(application.tenant, name, Kind(said.kind), Identity(said.identity))
        if said.capacity is None:
            return get_or_create_library(self._ports, ref)
        return create_library(self._ports, ref, said.capacity)

    @property
    def name(self) -> str:
        """The uids of the libraries."""
        return " ".join(library.uid for library in self._libraries.values())

    def put(self, works: Sequence[Work]) -> Iterable[tuple[Entry, Result]]:
        """Put the rows back, one by one."""
        for work in works:
            yield work.entry, self._result(work, trying=False)

    def try_out(self, works: Sequence[Work]) -> Iterable[tuple[Entry, Result]]:
        """Look whether the rows could be put back."""
        for work in works:
            yield work.entry, self._result(work, trying=True)

    def estimate(self, rows: int, trial_seconds: float) -> Sequence[str]:
        """Return nothing: nothing is embedded."""
        return []

    def holds(self, id_: str) -> bool:
        """Whether the library that ``id_`` begins with holds a picture of the rest of it."""
        name, _, inner = id_.partition("/")
        try:
            found = self._ports.catalog.picture(Key(self._libraries[name].uid, inner))
        except Unavailable as error:
            raise TargetError(str(error)) from error
        return found is not None and found.live

    def ids(self) -> Iterator[str]:
        """Iterate over the pictures of all these libraries, as ``library/id``."""
        for name, library in self._libraries.items():
            after: str | None = None
            while page := self._ports.catalog.pictures(library.uid, after, 1000):
                after = page[-1].key.id
                yield from (f"{name}/{row.key.id}" for row in page if row.live)

    def close(self) -> None:
        """Leave the ports open: who has opened them closes them."""

    def _result(self, work: Work, *, trying: bool) -> Result:
        row = work.row
        if not isinstance(row, ArchivedRow) or row.record is None or row.part is None:
            return Result(Outcome.REFUSED, "", "of no archive")
        name = str(row.id)
        try:
            contents = self._archive.contents(row)
            if hashlib.sha256(contents.original).hexdigest() != row.record.file_digest:
                return Result(Outcome.REFUSED, "", "its original is another file than its row says")
            library = self._libraries.get(row.part.library)
            if library is None:
                return Result(Outcome.ADDED, name)
            return self._put(work, library, row.record, contents, trying=trying)
        except LibraryFull as error:
            raise full(row.part.library, error) from error
        except (Unavailable, Busy) as error:
            return Result(Outcome.FAILED, "", reason_of(error), by_target=True)
        except (SourceError, OSError) as error:
            raise TargetError(str(error)) from error
        except LookalikeError as error:
            return Result(Outcome.REFUSED, "", reason_of(error))

    def _put(self, work: Work, library: Library, record: Record, contents: Contents, *, trying: bool) -> Result:
        """Write the row in place of what is there: nothing, or a deleted picture, or an older row of the same file."""
        name, key = str(work.row.id), Key(library.uid, record.id)
        for _ in range(MAX_ATTEMPTS):
            current = self._ports.catalog.picture(key)
            if current is not None and current.live:
                return self._existing(work, current, record, trying=trying)
            require_free(self._ports, key, record.old_sign)
            if trying:
                return Result(Outcome.ADDED, name)
            with place(self._ports, library, needed=True) as held:
                written = self._write(held, library, record, contents, current)
            if written:
                return Result(Outcome.ADDED, name)
        raise Unavailable(f"catalog: {key.library}/{key.id} changes too fast")

    def _write(
        self, ports: Ports, library: Library, record: Record, contents: Contents, current: Picture | None
    ) -> bool:
        picture = self._picture(library, record, contents, current)
        feature_map = contents.feature_map or b""
        second = None
        if record.model != self._ports.embedder.model:
            loaded = load(self._ports, Source(UNBOUNDED, data=contents.original), library.tenant)
            embedding = embed(self._ports, library, loaded)
            picture = picture.but(model=self._ports.embedder.model, vector=embedding.vectors[library.kind])
            feature_map, second = embedding.feature_map, embedding.second
        elif self._ports.view is not None and self._ports.view.second is not None:
            loaded = load(self._ports, Source(UNBOUNDED, data=contents.original), library.tenant)
            second = second_embedding(self._ports, library, loaded)
        if contents.source is not None:
            self._ports.originals.put(source_key(picture.object_key), contents.source)
        return write(ports, contents.original, Attempt(picture, current, feature_map, second))

    def _picture(self, library: Library, record: Record, contents: Contents, current: Picture | None) -> Picture:
        """Return the row: with its own revision, or one after that of a deleted row in its place."""
        revision = record.revision if current is None else next_revision(current.revision, record.revision)
        return Picture(
            key=Key(library.uid, record.id),
            kind=library.kind,
            revision=revision,
            added=record.added if current is None else revision,
            state=State.LIVE,
            digest=record.digest,
            file_digest=record.file_digest,
            file_size=len(contents.original),
            model=record.model,
            vector=contents.vector,
            metadata=_metadata_of(record),
            sign_version=record.sign_version,
        )

    def _existing(self, work: Work, current: Picture, record: Record, *, trying: bool) -> Result:
        name = str(work.row.id)
        if current.file_digest != record.file_digest:
            return Result(Outcome.REFUSED, name, f"the library holds another picture as {record.id}")
        if work.entry.begun:
            return Result(Outcome.ADDED, name)
        metadata = _metadata_of(record).over(current.metadata)
        if current.metadata == metadata or current.revision >= record.revision:
            return Result(Outcome.SAME, name, f"the library holds it as {record.id}")
        require_free(self._ports, current.key, metadata.old_sign)
        changed = current.but(revision=record.revision, metadata=metadata)
        if not trying:
            require_sign(self._ports, changed)
            if not write_row(self._ports, changed, current.revision, digest_prefix(metadata.old_sign) or ""):
                raise Unavailable(f"catalog: {current.key.library}/{current.key.id} changes too fast")
            publish_to_index(self._ports, [changed])
        return Result(Outcome.UPDATED, name)


def _metadata_of(record: Record) -> Metadata:
    return Metadata(record.brief, record.label, record.desc, record.tags, record.old_sign)


def _check_alike(said: ArchivedLibrary, library: Library | None) -> None:
    if library is not None and (library.kind, library.identity) != (said.kind, said.identity):
        reason = f"{library.name} is there, of kind {library.kind} and identity {library.identity}"
        raise InvalidArgument("--library", f"{reason}; the archive's is of {said.kind} and {said.identity}")
