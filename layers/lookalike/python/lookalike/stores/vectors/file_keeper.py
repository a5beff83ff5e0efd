"""Keeps an index's sealed segments in files, and starts an index from them.

A start maps the files that the manifest names and then reads the rows of the catalog's log of changes. It believes no
file: the manifest's mark must be in the log of this catalog, and every file must be what its name says. What fails is
made again from the catalog.

The order of :meth:`FileKeeper.keep_up` makes each moment safe to be killed at:

1. segments are written under their final names, which nothing mentions yet;
2. the states of all rows are captured;
3. a mark is put into the log: whatever was captured stands before it;
4. the manifest is replaced: from here on the next start reads the new files;
5. changes that the captured states contain are removed from the log, and older marks: from here on an older manifest is
   not believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from lookalike.domain.picture import Picture
from lookalike.errors import Unavailable
from lookalike.observability import logger
from lookalike.stores.segments.segment_file import UnusableFileError
from lookalike.stores.segments.text_hash import hashes_of
from lookalike.stores.vectors.catalog_source import CatalogSource, Change, Mark
from lookalike.stores.vectors.index import FaissIndex, SegmentKeeper
from lookalike.stores.vectors.library_index import CapturedSegment
from lookalike.stores.vectors.scans import Codebook
from lookalike.stores.vectors.sealed_segment import SealedSegment
from lookalike.stores.vectors.segment_folder import KeptSegment, Manifest, SegmentFolder
from lookalike.stores.vectors.segment_protocol import TOMBSTONE

#: Changes in the log from which the files are brought up to date. A start reads as many in a tenth of a second.
_MANY_CHANGES = 4096

#: The same when the index is closed.
_MANY_CHANGES_AT_CLOSE = 512

_Captured = Mapping[str, tuple[Sequence[CapturedSegment], bool]]


class FileKeeper(SegmentKeeper):
    """Keeps segments in a folder, beside the catalog that they are made of.

    A disk that takes no files, or a catalog that takes no writes, leaves the index working: segments are in memory, and
    the next start makes them again.

    Parameters
    ----------
    folder : the files.
    source : the catalog.
    """

    def __init__(self, folder: SegmentFolder, source: CatalogSource) -> None:
        self._folder = folder
        self._source = source
        self._published: Manifest | None = None
        self._states: dict[str, tuple[bytes, str]] = {}  # by segment: its changed rows, and the file that holds them
        self._complaint = ""
        self._made_again = False  # whether a file that the manifest names cannot be used
        self._ready = False  # only a full index may be published

    def start(self, index: FaissIndex) -> None:
        """Fill an empty index: from files, as far as they can be used, and from the catalog."""
        try:
            self._published = self._adopted(index)
        except Unavailable as error:
            logger.warning(f"the index is made again from the catalog: its log of changes cannot be read ({error})")
            index.clear()
        if self._published is None:
            self._folder.discard()
            index.fill(self._source.everything())
        self._ready = True
        self.keep_up(index)

    def keep(self, segment: SealedSegment, library: str, codebook: Codebook | None) -> SealedSegment:
        try:
            return self._folder.keep(segment, library, codebook)
        except (OSError, UnusableFileError) as error:
            self._complain(error)
            return segment

    def keep_up(self, index: FaissIndex, *, last: bool = False) -> None:
        try:
            if self._ready and self._is_due(index, _MANY_CHANGES_AT_CLOSE if last else _MANY_CHANGES):
                index.keep_unkept()
                self._publish(index)
                self._complaint = ""
        except (OSError, Unavailable) as error:
            self._complain(error)

    def _is_due(self, index: FaissIndex, many: int) -> bool:
        published = self._published
        if published is None or self._made_again:
            return index.has_sealed()
        return self._source.log_length(Mark(published.mark, published.token)) >= many

    def pictures_of(self, library: str) -> Iterator[Sequence[Picture]]:
        return self._source.pictures_of(library)

    def _adopted(self, index: FaissIndex) -> Manifest | None:
        """Return the manifest after bringing its segments into the index, and up to date; None if it is not used."""
        try:
            manifest = self._folder.manifest()
        except UnusableFileError as error:
            logger.warning(f"the index is made again from the catalog: its list of files is not used, as {error}")
            return None
        if manifest is None:
            if self._source.has_marks():
                logger.warning("the index is made again from the catalog: its list of files is not there")
            return None
        if not self._source.has_mark(Mark(manifest.mark, manifest.token)):
            logger.warning("the index is made again from the catalog: its files are of another catalog, or older")
            return None
        again = self._adopt(index, manifest)
        index.fill(self._changed_pictures(index), logged=True)
        for library in sorted(again):
            index.fill(self._source.pictures_of(library))
        self._made_again = not again.issubset(manifest.again)
        return manifest

    def _adopt(self, index: FaissIndex, manifest: Manifest) -> set[str]:
        """Bring all libraries into the index whose files can be used; return the others."""
        opened: dict[str, list[SealedSegment]] = {}
        again = set(manifest.again)
        for kept in manifest.segments:
            try:
                opened.setdefault(kept.library, []).append(self._folder.open(kept, index.codebook))
            except UnusableFileError as error:
                logger.warning(f"a file of the index is made again from the catalog: {kept.file}, as {error}")
                again.add(kept.library)
        for library, segments in opened.items():
            for segment in segments if library not in again else ():
                index.adopt(library, segment)
        return again

    def _changed_pictures(self, index: FaissIndex) -> Iterator[Sequence[Picture]]:
        for pictures, gone in self._source.changed_pictures():
            index.forget(gone)
            yield pictures

    def _publish(self, index: FaissIndex) -> None:
        captured = index.captured()
        mark = self._source.new_mark()
        kept = [
            KeptSegment(library, str(one.segment.file), self._states_of(one))
            for library, (segments, _) in captured.items()
            for one in segments
        ]
        again = [library for library, (_, is_logged) in captured.items() if not is_logged]
        manifest = Manifest(mark.number, mark.token, kept, again)
        self._folder.publish(manifest)
        self._published, self._made_again = manifest, False
        files = {one.file for one in kept}
        self._states = {file: states for file, states in self._states.items() if file in files}
        self._source.drop_marks(mark)
        for changes in self._source.changes(mark):
            self._source.drop(_contained(changes, captured))

    def _states_of(self, captured: CapturedSegment) -> str:
        """Return the name of a file with a segment's changed rows, written unless it is there; none if none changed."""
        if not len(captured.changed.rows):
            return ""
        file, data = str(captured.segment.file), captured.changed.to_bytes()
        if self._states.get(file, (b"", ""))[0] != data:
            self._states[file] = data, self._folder.keep_states(captured.changed)
        return self._states[file][1]

    def _complain(self, error: Exception) -> None:
        """Log why no files are kept, once until they are."""
        reason = (isinstance(error, OSError) and error.strerror) or str(
            error
        )  # without the names of files, which are random
        if self._complaint != reason:
            self._complaint = reason
            logger.warning(
                f"the index keeps no files at present ({reason}); it works on, and the next start takes longer"
            )


def _contained(changes: Sequence[Change], captured: _Captured) -> list[int]:
    """Return the numbers of the changes that the captured states contain."""
    numbers = []
    for library, group in groupby(sorted(changes, key=lambda one: one.key.library), key=lambda one: one.key.library):
        some = list(group)
        hashes = hashes_of(one.key.id for one in some)
        revisions = np.full(len(some), TOMBSTONE, np.int64)
        for segment in captured.get(library, ((), True))[0]:
            revisions = np.maximum(revisions, segment.revisions_of(hashes))
        wanted = np.array([TOMBSTONE if one.revision is None else one.revision for one in some], np.int64)
        numbers += [one.number for one, same in zip(some, (revisions == wanted).tolist(), strict=True) if same]
    return numbers
