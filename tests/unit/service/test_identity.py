"""Two pictures of the same pixels that differ in what those do not show, in libraries."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from functools import partial

import pytest

from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture, State, sign_of
from lookalike.domain.search import Reason
from lookalike.errors import PictureExists, PictureNotFound, Unavailable
from lookalike.imaging.decode import FORMATS, Bounds, decode
from lookalike.limits.fair_share import FairShare
from lookalike.ports import Ports
from lookalike.service import identity
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.libraries import create_library
from lookalike.service.purge import purge
from lookalike.service.search import Search, search
from lookalike.service.update import Update, update
from lookalike.service.upload import Outcome, ingest
from tests.contract.rows import described
from tests.support.fakes import MemoryCatalog, MemoryOriginals, SetClock, memory_ports
from tests.unit.imaging.pictures.blank import drawn
from tests.unit.imaging.pictures.files import chunk, encode, png_with
from tests.unit.imaging.pictures.twins import TWINS
from tests.unit.service.test_faults import TogetherEmbedder, together
from tests.unit.service.test_upload import Meanwhile, World, until_settled

BOUNDS = Bounds(max_bytes=4 << 20, min_side=1, max_side=4096, max_pixels=4096 * 4096, formats=FORMATS)
LIBRARY_REFS = {kind: LibraryRef("tenant", f"library of {kind}", kind) for kind in Kind}
LIBRARY_REF = LIBRARY_REFS[Kind.SAME]
GROUP = LibraryRef("tenant", "group", Kind.SAME, Identity.OWN)
WHITE_INK = TWINS["white ink"]
TRANSPARENT, OPAQUE = TWINS["a shadow and its opaque copy"]

twins = pytest.mark.parametrize("files", TWINS.values(), ids=TWINS)
kinds = pytest.mark.parametrize("kind", Kind)


class CountingCatalog(MemoryCatalog):
    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def picture(self, key: Key) -> Picture | None:
        self.read += 1
        return super().picture(key)


class CountingOriginals(MemoryOriginals):
    """Originals that say how often they were read, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.away = 0, False

    def get(self, key: str) -> bytes | None:
        self.read += 1
        if self.away:
            raise Unavailable("away")
        return super().get(key)


class Place:
    """A library in memory."""

    def __init__(self, ref: LibraryRef = LIBRARY_REF) -> None:
        self.library_ref = ref
        self.catalog, self.originals, self.clock = CountingCatalog(), CountingOriginals(), SetClock(10**12)
        self.ports: Ports = memory_ports(catalog=self.catalog, originals=self.originals, clock=self.clock)

    def add(self, file: bytes, brief: str = "", id_: str | None = None) -> Picture:
        self.clock.now += 10
        return add(self.ports, Add(self.library_ref, Source(BOUNDS, file), Metadata(brief), id=id_))

    def find(self, file: bytes) -> dict[str, Reason]:
        """Briefs of what a search finds; only the first that is identical scores 1."""
        matches = search(self.ports, Search(self.library_ref, Source(BOUNDS, file))).matches
        assert [match.score == 1 for match in matches] == [
            number == 0 and match.reason is Reason.EXACT for number, match in enumerate(matches)
        ]
        return {match.candidate.metadata.brief: match.reason for match in matches}

    def exact(self, file: bytes) -> list[str]:
        return [brief for brief, reason in self.find(file).items() if reason is Reason.EXACT]

    def update(self, which: bytes | str, brief: str) -> None:
        self.clock.now += 10
        update(
            self.ports,
            Update(self.library_ref, Source(BOUNDS, which) if isinstance(which, bytes) else which, {"brief": brief}),
        )

    def delete(self, which: bytes | str) -> int:
        self.clock.now += 10
        return delete(
            self.ports, Delete(self.library_ref, Source(BOUNDS, which) if isinstance(which, bytes) else (which,))
        )

    def live(self) -> list[str]:
        return sorted(row.metadata.brief for row in self.catalog.rows.values() if row.live)


def again(file: bytes) -> bytes:
    """The same picture in another file."""
    return png_with(file, chunk(b"tEXt", b"Comment\0again"))


def names(files: Sequence[bytes]) -> list[str]:
    return [str(number) for number in range(len(files))]


def holding(files: Sequence[bytes], ref: LibraryRef = LIBRARY_REF) -> Place:
    place = Place(ref)
    for name, file in zip(names(files), files, strict=True):
        place.add(file, name)
    return place


@twins
@kinds
def test_all_of_them_are_kept_and_each_finds_itself(files: Sequence[bytes], kind: Kind) -> None:
    for order in (list(files), list(reversed(files))):
        place = holding(order, LIBRARY_REFS[kind])
        for name, file in zip(names(order), order, strict=True):
            for one in (file, again(file)):
                assert place.exact(one) == [name]
                assert sorted(place.find(one)) == names(order)  # the others show nearly the same
                with pytest.raises(PictureExists):
                    place.add(one)
        assert place.live() == names(order)


@twins
def test_the_first_has_the_sign_it_always_had(files: Sequence[bytes]) -> None:
    place = Place()
    first, *others = (place.add(file) for file in files)
    assert {row.digest for row in others}.isdisjoint({first.digest})
    assert all(row.digest == row.key.id for row in (first, *others))
    assert {Place().add(file).digest for file in files} == {first.digest}


@twins
def test_each_is_changed_by_its_file_and_by_its_sign(files: Sequence[bytes]) -> None:
    place = holding(files)
    for name, file in zip(names(files), files, strict=True):
        place.update(again(file), f"new {name}")
    assert place.live() == [f"new {name}" for name in names(files)]
    for row in list(place.catalog.rows.values()):
        place.update(sign_of(row.digest), f"by sign {row.metadata.brief[-1]}")
    assert [place.exact(file) for file in files] == [[f"by sign {name}"] for name in names(files)]


@twins
def test_each_is_deleted_alone(files: Sequence[bytes]) -> None:
    for number, file in enumerate(files):
        place = holding(files)
        assert place.delete(again(file)) == 1
        left = [name for name in names(files) if name != str(number)]
        assert place.live() == left
        assert place.exact(file) == []
        with pytest.raises(PictureNotFound):
            place.delete(file)
        with pytest.raises(PictureNotFound):
            place.update(file, "lost")
        assert place.live() == left
        place.add(file, "back")
        assert place.exact(file) == ["back"]
        assert place.live() == sorted([*left, "back"])


@twins
def test_a_picture_that_is_not_there_is_not_its_twin(files: Sequence[bytes]) -> None:
    place = holding(files[:1])
    with pytest.raises(PictureNotFound):
        place.delete(files[1])
    with pytest.raises(PictureNotFound):
        place.update(files[1], "lost")
    assert place.live() == ["0"]
    assert place.exact(files[1]) == []
    assert set(place.find(files[1])) == {"0"}


def test_once_the_first_is_purged_the_second_is_where_it_was() -> None:
    place = holding(WHITE_INK[:2])
    place.delete(WHITE_INK[0])
    place.clock.now += 10**11
    purge(place.ports, lambda: True)
    assert [row.metadata.brief for row in place.catalog.rows.values()] == ["1"]
    with pytest.raises(PictureExists):
        place.add(WHITE_INK[1])
    assert place.exact(WHITE_INK[1]) == ["1"]
    place.add(WHITE_INK[0], "back")
    assert place.exact(WHITE_INK[0]) == ["back"]
    assert place.exact(WHITE_INK[1]) == ["1"]


def test_an_opaque_picture_is_found_where_it_is_once_its_twin_is_purged() -> None:
    place = holding([TRANSPARENT, OPAQUE])
    place.delete(TRANSPARENT)
    assert place.exact(OPAQUE) == ["1"]
    with pytest.raises(PictureExists):  # as long as the other waits for its purge
        place.add(OPAQUE)
    place.clock.now += 10**11
    purge(place.ports, lambda: True)
    assert place.exact(OPAQUE) == ["1"]


@twins
def test_in_groups_each_finds_itself(files: Sequence[bytes]) -> None:
    place = Place(GROUP)
    create_library(place.ports, GROUP)
    for name, file in zip(names(files), files, strict=True):
        for copy in ("", "'"):
            place.add(file, name + copy, id_=name + copy)
    for name, file in zip(names(files), files, strict=True):
        for one in (file, again(file)):
            assert place.exact(one) == [name, f"{name}'"]


def test_what_cannot_be_read_is_the_same_as_before() -> None:
    for lose in ("missing", "broken"):
        place = holding(WHITE_INK[:1])
        for key in list(place.originals.files):
            if lose == "missing":
                del place.originals.files[key]
            else:
                place.originals.files[key] = b"no picture"
        with pytest.raises(PictureExists):
            place.add(WHITE_INK[1])
        assert place.exact(WHITE_INK[1]) == ["0"]


def test_while_originals_are_away_nothing_is_mistaken_that_would_change_and_searches_go_on() -> None:
    place = holding(WHITE_INK[:1])
    place.originals.away = True
    for call in (place.add, place.delete, partial(place.update, brief="lost")):
        with pytest.raises(Unavailable):
            call(WHITE_INK[1])
    assert place.exact(WHITE_INK[1]) == ["0"]
    with pytest.raises(PictureExists):
        place.add(WHITE_INK[0])
    place.originals.away = False
    assert place.live() == ["0"]
    place.add(WHITE_INK[1], "1")
    assert place.live() == ["0", "1"]


def test_a_damaged_row_is_mended_by_its_own_picture_alone() -> None:
    place = holding(WHITE_INK[:1])
    ((key, row),) = place.catalog.rows.items()
    place.catalog.rows[key] = described(row.but(state=State.DAMAGED), brief="")
    assert place.add(WHITE_INK[1], "1").key != key
    assert place.add(WHITE_INK[0], "0").key == key
    assert place.live() == ["0", "1"]
    assert [place.exact(file) for file in WHITE_INK[:2]] == [["0"], ["1"]]


def test_ordinary_pictures_cost_no_more_reads() -> None:
    for file in (encode(drawn(1), "PNG"), encode(drawn(2), "JPEG")):
        place = Place()
        place.add(file, "x")
        assert place.catalog.read == 2
        place.catalog.read = 0
        search(place.ports, Search(LIBRARY_REFS[Kind.SIMILAR], Source(BOUNDS, file)))
        search(place.ports, Search(LIBRARY_REF, Source(BOUNDS, file)))
        assert place.catalog.read == 1
        assert place.originals.read == 0


def test_only_few_originals_are_read_for_a_search() -> None:
    place = Place(GROUP)
    create_library(place.ports, GROUP)
    for level in range(9):
        buffer = io.BytesIO()
        drawn(1).save(buffer, "PNG", compress_level=level)
        place.add(buffer.getvalue(), str(level), id_=str(level))
    assert len(place.exact(encode(drawn(1), "BMP"))) == 9
    assert place.originals.read == identity._MAX_ORIGINALS_READ


def test_rows_of_the_version_before_are_found_by_their_own_file() -> None:
    place = Place(GROUP)
    create_library(place.ports, GROUP)
    for number, file in enumerate(WHITE_INK):
        row = place.add(file, str(number), id_=str(number))
        old = row.but(digest=decode(file, BOUNDS).digest, revision=row.revision + 1)
        place.catalog.put(old, row.revision)
        place.ports.index.write([old])
    assert [place.exact(file) for file in WHITE_INK] == [["0"], ["1"], ["2"]]
    assert [place.exact(again(file)) for file in WHITE_INK] == [["0"], ["1"], ["2"]]


def test_racing_adds_of_twins_are_all_kept() -> None:
    # Within one millisecond: each finds the others' rows only when its own is refused.
    files = [*WHITE_INK, again(WHITE_INK[0])]
    catalog, originals = MemoryCatalog(), MemoryOriginals()
    ports = memory_ports(
        catalog=catalog,
        originals=originals,
        embedder=TogetherEmbedder(len(files)),
        processors=FairShare(len(files)),
        clock=SetClock(10**12),
    )
    outcomes = together([partial(add, ports, Add(LIBRARY_REF, Source(BOUNDS, file))) for file in files])
    kept = [outcome for outcome in outcomes if isinstance(outcome, Picture)]
    assert len(kept) == len(WHITE_INK)
    assert sum(isinstance(outcome, PictureExists) for outcome in outcomes) == 1
    assert sorted(originals.files) == sorted(row.object_key for row in kept)
    assert sorted(row.object_key for row in catalog.rows.values()) == sorted(originals.files)
    assert threading.active_count() < 50


# -- Uploads -----------------------------------------------------------------------------------------------------------

ONE, TWO = (f"uploads/10000001/same_hq/{name}.png" for name in ("one", "two"))


@twins
def test_uploads_of_twins_are_pictures_of_their_own(files: Sequence[bytes]) -> None:
    world = World()
    assert ingest(world.ports, world.put("1", files[0], ONE, brief="one")) is Outcome.ADDED
    world.clock.now += 1
    assert ingest(world.ports, world.put("1", files[1], TWO, brief="two")) is Outcome.ADDED
    assert world.briefs() == ["one", "two"]
    world.clock.now += 1
    assert ingest(world.ports, world.put("2", again(files[1]), TWO, brief="two again")) is Outcome.ALREADY_PRESENT
    assert world.briefs() == ["one", "two again"]
    world.clock.now += 1
    assert ingest(world.ports, world.put("2", files[1], ONE, brief="moved")) is Outcome.ALREADY_PRESENT
    assert len(world.live()) == 1  # the first is left by its only upload


@pytest.mark.parametrize("first_is_new", [True, False])
def test_an_upload_that_loses_its_place_to_a_twin_takes_nothing_from_it(first_is_new: bool) -> None:
    """A client's add comes between, within the same millisecond."""
    catalog = Meanwhile()
    world = World(catalog=catalog)
    if not first_is_new:
        ingest(world.ports, world.put("0", encode(drawn(1), "PNG"), ONE, brief="before"))
    ref = LibraryRef(world.ports.applications.application_by_id("10000001").tenant, "same_hq", Kind.SAME)  # type: ignore[union-attr]
    event = world.put("1", WHITE_INK[0], ONE, brief="upload")

    def client() -> None:
        add(world.ports, Add(ref, Source(BOUNDS, WHITE_INK[1]), Metadata("client")))

    catalog.first = client
    until_settled(world, event)
    assert world.briefs() == ["client", "upload"]


def test_an_upload_that_loses_both_places_holds_what_is_there() -> None:
    catalog = Meanwhile()
    world = World(catalog=catalog)
    ref = LibraryRef(world.ports.applications.application_by_id("10000001").tenant, "same_hq", Kind.SAME)  # type: ignore[union-attr]
    event = world.put("1", WHITE_INK[0], ONE, brief="upload")

    def clients() -> None:
        for file in WHITE_INK[1], WHITE_INK[0]:
            add(world.ports, Add(ref, Source(BOUNDS, file), Metadata("client")))

    catalog.first = clients
    until_settled(world, event)
    assert world.briefs() == ["client", "client"]
    world.clock.now += 1
    ingest(world.ports, world.put("2", encode(drawn(3), "PNG"), ONE, brief="another"))
    assert world.briefs() == ["another", "client", "client"]
