"""An import into the stores of this machine, or of a stack: through the use cases, without HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Decoded, Metadata, MetadataChange, Picture, source_key
from lookalike.embedding.library_embedding import embed_for_library
from lookalike.errors import (
    Busy,
    InvalidArgument,
    LibraryFull,
    LibraryNotFound,
    LookalikeError,
    PictureNotFound,
    RevisionConflict,
    SignAmbiguous,
    Unavailable,
    UrlAnswerError,
    UrlUnreachable,
)
from lookalike.imaging.arriving import MAX_ARRIVING_BYTES
from lookalike.imaging.decode import decode
from lookalike.limits.call import usable_cores
from lookalike.ports import Ports
from lookalike.service.capacity import limited
from lookalike.service.groups import list_pictures, name_of, picture_in
from lookalike.service.identity import locate
from lookalike.service.image_source import Source
from lookalike.service.libraries import RESERVED_LIBRARIES, get_or_create_library, library_ref
from lookalike.service.model_view import current
from lookalike.service.old_signs import check_sign
from lookalike.service.update import Update, update
from lookalike.transfer import estimate
from lookalike.transfer.files import Arrived, arrived, fit
from lookalike.transfer.journal import Entry
from lookalike.transfer.outcomes import Outcome, Result
from lookalike.transfer.rows import Row
from lookalike.transfer.target import (
    TargetError,
    Wanted,
    Work,
    check_said,
    full,
    is_same,
    of_existing,
    reason_of,
    said_of,
)
from lookalike.transfer.trial import Trial, of_twin, picture_key
from lookalike.wire.native import limits, reading
from lookalike.wire.native.pictures import Given, add_or_find
from lookalike.wire.native.problems import PictureIsThere
from lookalike.wire.native.requests import ImageGiven, MetadataGiven

#: Errors that may pass: a rerun tries these rows again.
_PASSING = (RevisionConflict, UrlUnreachable, UrlAnswerError)

#: Rows of a page of the library's list.
_PAGE = 1000


class StoresTarget:
    """A library of an application, in the stores behind the ports. It is made if there is none, unless ``try_out`` is all.

    Raises InvalidArgument for a name that no library may have, or a library of another kind.
    """

    rows_per_call = 8

    def __init__(self, ports: Ports, application: Application, wanted: Wanted, *, make: bool = True) -> None:
        self._raw = limited(ports, application)
        self._application = application
        self._wanted = wanted
        self._sampler = estimate.Sampler()
        self._trial = Trial()
        self._bounds = limits.bounds(ports)
        self._ref = _ref_of(application, wanted)
        found = ports.catalog.library(application.tenant, wanted.library)
        if found is not None:
            wanted.check_kind(found.kind)
            self._ref = reading.ref_of(found)
        else:
            wanted.check_made()
        self._library = get_or_create_library(ports, self._ref) if found is None and make else found

    @property
    def _ports(self) -> Ports:
        """The ports with the model that searches use now: an import may last for hours."""
        return current(self._raw)

    @property
    def name(self) -> str:
        """The library's uid, which is new whenever a library is made."""
        return "" if self._library is None else self._library.uid

    @property
    def identity(self) -> Identity:
        """What identifies pictures there."""
        return self._ref.identity

    def put(self, works: Sequence[Work]) -> Iterable[tuple[Entry, Result]]:
        """Add the rows, one by one."""
        for work in works:
            yield work.entry, self._result(work, trying=False)

    def try_out(self, works: Sequence[Work]) -> Iterable[tuple[Entry, Result]]:
        """Load and check the rows, one by one."""
        for work in works:
            yield work.entry, self._result(work, trying=True)

    def estimate(self, rows: int, trial_seconds: float) -> Sequence[str]:
        """Return how long adding so many pictures takes here, and what it costs in a stack."""
        on_aws = self._ports.settings.on_aws
        return estimate.lines(rows, trial_seconds, self._sampler.seconds, usable_cores(), on_aws=on_aws)

    def holds(self, id_: str) -> bool:
        """Whether the library holds a picture of that id."""
        try:
            picture_in(self._ports, self._there(), id_)
        except SignAmbiguous:
            return True
        except (PictureNotFound, LibraryNotFound):
            return False
        except Unavailable as error:
            raise TargetError(str(error)) from error
        return True

    def ids(self) -> Iterator[str]:
        """Iterate over the ids of all live pictures."""
        library, after, more = self._there(), None, True
        while more:
            page = list_pictures(self._ports, library, after, _PAGE)
            yield from (name_of(library, picture) for picture in page.pictures)
            after, more = page.after, page.after is not None

    def close(self) -> None:
        """Leave the ports open: who has opened them closes them."""

    def _there(self) -> Library:
        if self._library is None:
            raise LibraryNotFound(self._wanted.library)
        return self._library

    def _result(self, work: Work, *, trying: bool) -> Result:
        try:
            return self._tried(work) if trying else self._added(work)
        except LibraryFull as error:
            raise full(self._wanted.library, error) from error
        except (Unavailable, Busy) as error:
            return Result(Outcome.FAILED, "", reason_of(error), by_target=True)
        except _PASSING as error:
            return Result(Outcome.FAILED, "", reason_of(error))
        except PictureIsThere as error:
            return Result(Outcome.REFUSED, error.picture.id, reason_of(error))
        except LookalikeError as error:
            return Result(Outcome.REFUSED, "", reason_of(error))
        except OSError as error:
            return Result(Outcome.FAILED, "", f"{error.strerror or error}")

    def _added(self, work: Work) -> Result:
        said = said_of(work.row, self._ref.identity)
        check_said(self._ref, said)  # refused before the picture is loaded
        library = self._there()
        file = self._arrived(work.row)
        source = Source(self._bounds, data=file.data, name="file")
        held = add_or_find(self._ports, library, self._ref, Given(self._application, source, said))
        picture = held.picture
        if file.original is not None and picture.file_digest == hashlib.sha256(file.data).hexdigest():
            self._ports.originals.put(source_key(picture.object_key), file.original)
        id_ = name_of(library, picture)
        return (
            Result(Outcome.ADDED, id_) if held.created else self._existing(work, picture, file, repaired=held.repaired)
        )

    def _tried(self, work: Work) -> Result:
        said = said_of(work.row, self._ref.identity)
        check_said(self._ref, said)
        file = self._arrived(work.row)
        decoded = decode(file.data, self._bounds)
        self._sampler.sample(
            lambda: embed_for_library(self._ports.embedder, self._ref.kind, self.identity, decoded.pixels)
        )
        if self.identity is Identity.PICTURE:
            return self._tried_picture(work, said, file, decoded)
        found = None if self._library is None else self._picture(said.id or "")
        if found is None or not found.live:
            return Result(Outcome.ADDED, said.id or "")
        return self._existing(work, found, file, trying=True)

    def _tried_picture(self, work: Work, said: MetadataGiven, file: Arrived, decoded: Decoded) -> Result:
        """Return what would become of a row whose picture is its own id."""
        picture, found = picture_key(decoded), None
        if self._library is not None:
            key, found = locate(self._ports, self._library, decoded)
            check_sign(self._ports, self._library, key, said.old_cont_sign or "")
            picture = key.id
        before = self._trial.bring(work, picture, said)
        if found is not None and found.live:
            return self._existing(work, found, file, trying=True)
        return Result(Outcome.ADDED) if before is None else of_twin(before, said, self._wanted.on_duplicate)

    def _existing(
        self, work: Work, picture: Picture, file: Arrived, *, trying: bool = False, repaired: bool = False
    ) -> Result:
        def same() -> bool:
            return (
                self.identity is Identity.PICTURE
                or picture.file_digest == hashlib.sha256(file.data).hexdigest()
                or is_same(file.data, picture.digest, self._bounds)
            )

        def change() -> bool:
            metadata = reading.metadata_of(self._ref, said_of(work.row, self.identity)).over(picture.metadata)
            if metadata == picture.metadata:
                return False
            if not trying:
                update(self._ports, Update(self._ref, picture.key, _all_of(metadata)))
            return True

        id_ = name_of(self._there(), picture)
        on_duplicate, old_sign = self._wanted.on_duplicate, picture.metadata.old_sign
        return of_existing(work, id_, on_duplicate, same, change, repaired=repaired, old_sign=old_sign)

    def _picture(self, id_: str) -> Picture | None:
        try:
            return picture_in(self._ports, self._there(), id_)
        except PictureNotFound:
            return None

    def _arrived(self, row: Row) -> Arrived:
        if row.url is None:
            return arrived(row, self._bounds)
        source = reading.source_of(self._ports, self._application, None, ImageGiven(url=row.url), "")  # checks it
        return fit(self._ports.fetch(source.url or "", MAX_ARRIVING_BYTES), self._bounds)


def _all_of(metadata: Metadata) -> MetadataChange:
    change = MetadataChange(brief=metadata.brief, label=metadata.label, desc=metadata.desc, tags=metadata.tags)
    return {**change, "old_sign": metadata.old_sign} if metadata.old_sign else change


def _ref_of(application: Application, wanted: Wanted) -> LibraryRef:
    reserved = library_ref(application, wanted.library)
    if wanted.library in RESERVED_LIBRARIES:
        if wanted.kind not in (None, reserved.kind):
            raise InvalidArgument("--kind", f"{wanted.library} is a vendor's library, and its kind is {reserved.kind}")
        return reserved
    return LibraryRef(application.tenant, wanted.library, wanted.kind or Kind.SAME, Identity.OWN)
