"""The sweep: what it finds, what it does not look at again, and what has changed since it looked."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.duplicates import Level
from lookalike.domain.job import Job, JobKind, JobState
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.errors import InvalidArgument, PictureNotFound, TooManyItems
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.ports import Ports
from lookalike.service import duplicates
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.duplicate_clusters import cluster_page, dismiss, reconsider
from lookalike.service.duplicate_records import MAX_CLUSTER, pairs_partition
from lookalike.service.groups import remove_group
from lookalike.service.image_source import Source
from lookalike.service.job_runner import run_jobs
from lookalike.service.jobs import cancel_job, find_job, start_job
from lookalike.service.libraries import create_library
from lookalike.service.purge import purge
from lookalike.service.restore import restore
from tests.conftest import ALICE, BOB
from tests.support.baidu import picture
from tests.support.examples import examples
from tests.support.fakes import MemoryOriginals, MemoryRecords, SetClock, memory_ports

BOUNDS = Bounds(10**7, 8, 5000, 10**8, FORMATS)
HOUR_MS = 3_600_000


@pytest.fixture
def library(memory: Ports) -> Library:
    return a_library(memory)


def a_library(ports: Ports, kind: Kind = Kind.SAME, tenant: str = ALICE.tenant, name: str = "shop") -> Library:
    return create_library(ports, LibraryRef(tenant, name, kind, Identity.OWN))


def put(ports: Ports, library: Library, id_: str, file: bytes) -> None:
    ref = LibraryRef(library.tenant, library.name, library.kind, library.identity)
    add(ports, Add(ref, Source(BOUNDS, file), id=id_, replace=True), library)


def take(ports: Ports, library: Library, *ids: str) -> None:
    delete(ports, Delete(LibraryRef(library.tenant, library.name, library.kind, library.identity), ids))


def sweep(ports: Ports, library: Library) -> Job:
    """Sweep, and move the clock on, so that the next sweep need not look at the same again."""
    assert isinstance(ports.clock, SetClock)
    ports.clock.now += HOUR_MS
    id_ = f"sweep-{ports.clock.now}"
    start_job(ports, library, JobKind.DUPLICATES, id_)
    run_jobs(ports, lambda: True)
    job = find_job(ports, library.tenant, id_)
    assert job.state is JobState.DONE, job.detail
    ports.clock.now += HOUR_MS
    return job


def found(ports: Ports, library: Library, level: Level = Level.SAME) -> set[frozenset[str]]:
    sets: set[frozenset[str]] = set()
    after = ""
    while True:
        page = cluster_page(ports, library, level, after, 2)
        sets |= {frozenset(one.cluster.ids) for one in page.clusters}
        after = page.after
        if not after:
            return sets


def changed(seed: int) -> bytes:
    """The picture of that seed, a little darker: the same by the fakes' proof, and not identical."""
    with Image.open(io.BytesIO(picture(seed))) as image:
        pixels = np.asarray(image).astype(int)
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels - 6, 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_copies_are_found_at_their_level(memory: Ports, library: Library) -> None:
    put(memory, library, "a", picture(1))
    put(memory, library, "a again", picture(1, "BMP"))
    put(memory, library, "a darker", changed(1))
    put(memory, library, "other", picture(2))
    job = sweep(memory, library)
    assert found(memory, library, Level.IDENTICAL) == {frozenset({"a", "a again"})}
    assert found(memory, library) == {frozenset({"a", "a again", "a darker"})}
    assert found(memory, library, Level.SIMILAR) == {frozenset({"a", "a again", "a darker"})}
    assert {level: job.result[level] for level in Level} == {"identical": 1, "same": 1, "similar": 1}
    (cluster,) = cluster_page(memory, library, Level.SAME, "", 10).clusters
    end = cluster.cluster.pairs[0].older
    assert (end.width, end.height, end.bytes) == (32, 24, len(picture(1)))
    proved = next(pair for pair in cluster.cluster.pairs if pair.level is Level.SAME)
    assert proved.proof is not None
    assert proved.proof.agreement is not None
    assert proved.proof.agreement.agrees


def test_a_library_that_was_never_swept_says_so(memory: Ports, library: Library) -> None:
    page = cluster_page(memory, library, Level.SAME, "", 10)
    assert page.sweep is None
    assert page.clusters == ()
    assert sweep(memory, library).result["pairs"] == 0
    assert cluster_page(memory, library, Level.SAME, "", 10).sweep is not None


def test_only_what_is_new_is_compared(memory: Ports, library: Library) -> None:
    for seed in range(6):
        put(memory, library, f"p{seed}", picture(seed))
    assert sweep(memory, library).result["compared"] == 6
    assert sweep(memory, library).result["compared"] == 0
    put(memory, library, "new", changed(3))
    job = sweep(memory, library)
    assert (job.result["compared"], job.done) == (1, 7)
    assert found(memory, library) == {frozenset({"p3", "new"})}


def test_what_has_gone_or_was_replaced_is_no_longer_shown(memory: Ports, library: Library) -> None:
    for id_, file in (("a", picture(1)), ("b", changed(1)), ("c", picture(2)), ("d", changed(2)), ("e", picture(2))):
        put(memory, library, id_, file)
    sweep(memory, library)
    assert found(memory, library) == {frozenset("ab"), frozenset("cde")}
    take(memory, library, "a", "c")
    assert found(memory, library) == {frozenset("de")}
    put(memory, library, "d", picture(9))
    assert found(memory, library) == set(), "d shows something else now"
    sweep(memory, library)
    assert found(memory, library) == set()
    assert isinstance(memory.records, MemoryRecords)
    assert not memory.records.records(pairs_partition(library.uid), "", 10), "pairs of what has gone are not kept"
    restore(memory, library, "a")
    sweep(memory, library)
    assert found(memory, library) == {frozenset("ab")}, "what is restored is compared anew"


def test_dismissed_pictures_are_not_shown_again(memory: Ports, library: Library) -> None:
    put(memory, library, "a", picture(1))
    put(memory, library, "b", changed(1))
    sweep(memory, library)
    dismiss(memory, library, ["b", "a"])
    assert found(memory, library) == set()
    sweep(memory, library)
    assert found(memory, library) == set()
    reconsider(memory, library, ["a", "b"])
    sweep(memory, library)
    assert found(memory, library) == {frozenset("ab")}
    dismiss(memory, library, ["a", "b"])
    put(memory, library, "b", picture(1))
    sweep(memory, library)
    assert found(memory, library) == {frozenset("ab")}, "another picture has the name"


def test_dismissing_names_pictures_of_this_library(memory: Ports, library: Library) -> None:
    put(memory, library, "a", picture(1))
    put(memory, library, "b", picture(2))
    put(memory, a_library(memory, tenant=BOB.tenant), "c", picture(3))
    for names, error in ((["a", "c"], PictureNotFound), (["a"], InvalidArgument), (["a", "a"], InvalidArgument)):
        with pytest.raises(error):
            dismiss(memory, library, names)
    with pytest.raises(TooManyItems):
        dismiss(memory, library, ["a"] * (MAX_CLUSTER + 1))


def test_a_library_that_is_removed_fails_its_sweep(memory: Ports, library: Library) -> None:
    put(memory, library, "a", picture(1))
    start_job(memory, library, JobKind.DUPLICATES, "sweep")
    remove_group(memory, ALICE.tenant, library.name)
    a_library(memory)
    run_jobs(memory, lambda: True)
    job = find_job(memory, ALICE.tenant, "sweep")
    assert (job.state, job.detail) == (JobState.FAILED, "the library shop was removed")


def test_a_library_removed_in_the_middle_shows_nothing(memory: Ports, library: Library) -> None:
    for seed in range(4):
        put(memory, library, f"p{seed}", picture(seed))
    start_job(memory, library, JobKind.DUPLICATES, "sweep")
    run_jobs(
        memory,
        lambda: not memory.records.records("jobs-queue", "", 1) or find_job(memory, ALICE.tenant, "sweep").cursor == "",
    )
    remove_group(memory, ALICE.tenant, library.name)
    run_jobs(memory, lambda: True)
    assert find_job(memory, ALICE.tenant, "sweep").state is JobState.FAILED


def test_a_purge_takes_what_was_kept_of_a_removed_library(memory: Ports, library: Library) -> None:
    put(memory, library, "a", picture(1))
    put(memory, library, "b", picture(1))
    sweep(memory, library)
    dismiss(memory, library, ["a", "b"])
    remove_group(memory, ALICE.tenant, library.name)
    assert isinstance(memory.clock, SetClock)
    memory.clock.now += 30 * 24 * HOUR_MS
    purge(memory, lambda: True)
    assert isinstance(memory.records, MemoryRecords)
    assert not [partition for partition, _ in memory.records.rows if library.uid in partition]


def test_a_cancelled_sweep_leaves_what_the_last_one_found(memory: Ports, library: Library) -> None:
    put(memory, library, "a", picture(1))
    put(memory, library, "b", picture(1))
    sweep(memory, library)
    put(memory, library, "c", picture(1))
    start_job(memory, library, JobKind.DUPLICATES, "second")
    cancel_job(memory, ALICE.tenant, "second")
    run_jobs(memory, lambda: True)
    assert found(memory, library) == {frozenset("ab")}
    sweep(memory, library)
    assert found(memory, library) == {frozenset("abc")}


def test_originals_that_are_missing_leave_digests_and_vectors(memory: Ports, library: Library) -> None:
    put(memory, library, "a", picture(1))
    put(memory, library, "b", picture(1, "BMP"))
    put(memory, library, "c", changed(1))
    assert isinstance(memory.originals, MemoryOriginals)
    memory.originals.files.clear()
    sweep(memory, library)
    assert found(memory, library) == {frozenset("ab")}
    assert found(memory, library, Level.SIMILAR) == {frozenset("abc")}


@pytest.mark.parametrize("kind", [Kind.SIMILAR, Kind.PRODUCT])
def test_other_kinds_are_swept_too(memory: Ports, kind: Kind) -> None:
    library = a_library(memory, kind)
    put(memory, library, "a", picture(1))
    put(memory, library, "b", picture(1, "BMP"))
    put(memory, library, "c", changed(1))
    sweep(memory, library)
    assert found(memory, library, Level.IDENTICAL) == {frozenset("ab")}
    assert found(memory, library) == {frozenset("abc")}


def test_another_model_begins_anew(memory: Ports, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    put(memory, library, "a", picture(1))
    put(memory, library, "b", picture(2))
    sweep(memory, library)
    monkeypatch.setattr(duplicates, "_RULES", 99)
    assert sweep(memory, library).result["compared"] == 2


def test_hundreds_of_one_picture_make_one_cluster(memory: Ports, library: Library) -> None:
    for number in range(120):
        put(memory, library, f"{number:03}", picture(1))
    sweep(memory, library)
    assert found(memory, library, Level.IDENTICAL) == {frozenset(f"{number:03}" for number in range(120))}
    take(memory, library, *(f"{number:03}" for number in range(40)))
    sweep(memory, library)
    assert found(memory, library, Level.IDENTICAL) == {frozenset(f"{number:03}" for number in range(40, 120))}


Step = tuple[str, int, int]


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "changed", "take", "sweep"]), st.integers(0, 7), st.integers(0, 2)),
        max_size=20,
    ),
    chance=st.randoms(),
)
def test_sweeps_one_after_the_other_find_what_one_sweep_finds(steps: Sequence[Step], chance: random.Random) -> None:
    """Whatever is added, replaced and deleted between them; and whichever order the last state is made in."""
    ports = memory_ports(clock=SetClock(1_767_323_045_000))
    library = a_library(ports)
    files: dict[str, bytes] = {}
    for what, number, seed in steps:
        id_ = f"p{number}"
        ports.clock.now += 1  # type: ignore[attr-defined]  # it is a SetClock
        if what == "sweep":
            sweep(ports, library)
        elif what == "take":
            if files.pop(id_, None) is not None:
                take(ports, library, id_)
        else:
            files[id_] = picture(seed) if what == "put" else changed(seed)
            put(ports, library, id_, files[id_])
    sweep(ports, library)
    whole = memory_ports(clock=SetClock(1_767_323_045_000))
    other = a_library(whole)
    for id_ in chance.sample(sorted(files), len(files)):
        put(whole, other, id_, files[id_])
    sweep(whole, other)
    for level in Level:
        assert found(ports, library, level) == found(whole, other, level)
