"""The index in memory where it is large: estimated scans, sealing, merging, threads, memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Candidate, Query, TagFilter
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.stores.segments import inner_products
from lookalike.stores.vectors import compaction, listed_codes, sealed_segment
from lookalike.stores.vectors import index as index_module
from lookalike.stores.vectors import library_index as library_index_module
from lookalike.stores.vectors.index import FaissIndex
from lookalike.stores.vectors.library_index import LibraryIndex
from lookalike.stores.vectors.sealed_segment import SealedSegment
from lookalike.stores.vectors.segment_protocol import Depth
from tests.contract.rows import MODEL, deleted, described, random_vectors, row, unit
from tests.support import photographs

Float16Vectors = NDArray[np.float16]
Codebook = NDArray[np.float32]
Wide = NDArray[np.float64]

UID = "library"


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(find_model(None))


@pytest.fixture(scope="module")
def codebook(embedder: OnnxEmbedder) -> Codebook:
    return embedder.codebook(Kind.SIMILAR)


@pytest.fixture(scope="module")
def pictures(embedder: OnnxEmbedder) -> Float16Vectors:
    """Vectors of 800 cuts of photographs and of 15,200 blends of two of them, in no order."""
    chance = np.random.default_rng(7)
    sources = [np.asarray(photographs.photograph(name)) for name in photographs.NAMES]
    cuts = []
    for number in range(800):
        source = sources[number % len(sources)]
        height, width = (int(side * chance.uniform(0.25, 1)) for side in source.shape[:2])
        top = chance.integers(0, source.shape[0] - height + 1)
        left = chance.integers(0, source.shape[1] - width + 1)
        cuts.append(np.ascontiguousarray(source[top : top + height, left : left + width]))
    vectors = [
        embedding.vectors[Kind.SIMILAR]
        for start in range(0, len(cuts), 16)
        for embedding in embedder.embed(cuts[start : start + 16])
    ]
    plain = np.stack(vectors).astype(np.float32)
    first, second = chance.integers(0, len(plain), (2, 15_200))
    share = chance.uniform(0.5, 1, (15_200, 1)).astype(np.float32)
    blends = plain[first] * share + plain[second] * (1 - share)
    everything: NDArray[np.float32] = chance.permutation(np.concatenate([plain, blends]))
    return (everything / np.linalg.norm(everything, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture(scope="module")
def wide(pictures: Float16Vectors) -> Wide:
    """All but the last 200, for brute force."""
    return pictures[:-200].astype(np.float64)


def rows(vectors: Float16Vectors, tags: Callable[[int], tuple[str, ...]] = lambda _: ()) -> list[Picture]:
    return [row(UID, f"p{number:05}", vector=vector, tags=tags(number)) for number, vector in enumerate(vectors)]


def ask(index: FaissIndex, views: NDArray[Any], k: int = 100, tags: TagFilter | None = None) -> list[Candidate]:
    vectors = np.atleast_2d(views).astype(np.float32)
    return list(index.search(Query(Kind.SIMILAR, (UID,), MODEL, vectors, k, tags)))


def nearest(wide: Wide, views: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None = None) -> list[str]:
    """Brute force."""
    cosines = (wide @ np.atleast_2d(views).astype(np.float64).T).max(axis=1)
    if allowed is not None:
        cosines[~allowed] = -np.inf
    return [f"p{number:05}" for number in np.argsort(-cosines, kind="stable")[:k]]


def recall(found: Sequence[Candidate], expected: Sequence[str]) -> float:
    return len({one.key.id for one in found} & set(expected)) / len(expected)


def as_near(found: Sequence[Candidate], cosines: NDArray[np.float64], k: int) -> float:
    """Recall where cosines are alike to float32's rounding: what is as near as the k-th best is right."""
    kth = np.sort(cosines)[-k]
    return sum(bool(cosines[int(one.key.id[1:])] >= kth - 1e-6) for one in found) / k


def segments(index: FaissIndex) -> list[SealedSegment]:
    return index._libraries[UID]._sealed


@pytest.fixture(scope="module")
def filled(pictures: Float16Vectors, codebook: Codebook) -> Iterator[FaissIndex]:
    """All pictures but the last 200, in one segment. Tag n is every n-th picture's."""
    index = FaissIndex({Kind.SIMILAR: codebook})
    index.fill([rows(pictures[:-200], lambda number: tuple(str(n) for n in (2, 5, 50) if number % n == 0))])
    yield index
    index.close()


class TestRecall:
    def test_scan_of_codes_is_what_is_tried_here(self, filled: FaissIndex) -> None:
        (segment,) = segments(filled)
        assert segment.pq_index.ntotal == segment.count == 15_800

    @pytest.mark.parametrize("k", [1, 100, 302, 1002])
    def test_one_view(self, filled: FaissIndex, pictures: Float16Vectors, wide: Wide, k: int) -> None:
        found = [recall(ask(filled, view, k), nearest(wide, view, k)) for view in pictures[-200::2]]
        assert np.mean(found) >= 0.999

    def test_five_views(self, filled: FaissIndex, pictures: Float16Vectors, wide: Wide) -> None:
        queries = pictures[-200:].reshape(40, 5, -1)
        found = [recall(ask(filled, views), nearest(wide, views, 100)) for views in queries]
        assert np.mean(found) >= 0.999

    @pytest.mark.parametrize("every", [2, 5, 50])
    def test_filter(self, filled: FaissIndex, pictures: Float16Vectors, wide: Wide, every: int) -> None:
        allowed = np.arange(len(pictures) - 200) % every == 0
        tags = TagFilter(frozenset([str(every)]))
        found = [recall(ask(filled, view, tags=tags), nearest(wide, view, 100, allowed)) for view in pictures[-200::2]]
        assert np.mean(found) >= 0.999

    def test_filter_that_goes_with_looks(self, pictures: Float16Vectors, wide: Wide, codebook: Codebook) -> None:
        """Half of the library is tagged, and none of that half is anywhere near the query."""
        axis = pictures[-1].astype(np.float32)
        far = pictures[:-200] @ axis < np.median(pictures[:-200] @ axis)
        index = FaissIndex({Kind.SIMILAR: codebook})
        index.fill([rows(pictures[:-200], lambda number: ("far",) if far[number] else ())])
        found = ask(index, axis, tags=TagFilter(frozenset(["far"])))
        assert recall(found, nearest(wide, axis, 100, far)) == 1
        index.close()

    def test_library_so_dense_that_estimates_cannot_tell(
        self, pictures: Float16Vectors, codebook: Codebook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """40,000 blends of 6 pictures: what is asked for at first is not enough, and the search goes deeper."""
        chance = np.random.default_rng(3)
        first, second = chance.integers(0, 6, (2, 40_000))
        share = chance.uniform(0.5, 1, (40_000, 1)).astype(np.float32)
        few = pictures[:6].astype(np.float32)
        blends = few[first] * share + few[second] * (1 - share)
        dense = (blends / np.linalg.norm(blends, axis=1, keepdims=True)).astype(np.float16)
        index = FaissIndex({Kind.SIMILAR: codebook})
        index.fill([rows(dense)])
        deepened: list[Depth] = []
        deeper = Depth.deeper

        def noted(depth: Depth) -> Depth:
            deepened.append(depth)
            return deeper(depth)

        monkeypatch.setattr(Depth, "deeper", noted)
        wide = dense.astype(np.float64)
        found = [as_near(ask(index, view), wide @ view.astype(np.float64), 100) for view in pictures[:6]]
        assert deepened
        assert np.mean(found) >= 0.999
        index.close()

    def test_several_sealed_segments_and_a_mutable_one(
        self, pictures: Float16Vectors, wide: Wide, codebook: Codebook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(library_index_module, "MAX_SEGMENT_ROWS", 6000)
        index = FaissIndex({Kind.SIMILAR: codebook})
        everything = rows(pictures[:-200])
        for start in range(0, len(everything), 250):
            index.write(everything[start : start + 250])
        index.wait_for_compactions()
        assert len(segments(index)) >= 3
        assert max(segment.count for segment in segments(index)) <= 6000
        found = [recall(ask(index, view), nearest(wide, view, 100)) for view in pictures[-200::4]]
        assert np.mean(found) >= 0.999
        index.close()


class TestLists:
    """Large segments have their codes in lists, of which a search reads some."""

    @pytest.fixture
    def listed(
        self, pictures: Float16Vectors, codebook: Codebook, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[FaissIndex]:
        """All pictures but the last 200. Tag n is every n-th picture's."""
        monkeypatch.setattr(listed_codes, "MIN_LISTED_ROWS", 4000)
        index = FaissIndex({Kind.SIMILAR: codebook})
        index.fill([rows(pictures[:-200], lambda number: tuple(str(n) for n in (2, 5, 50) if number % n == 0))])
        yield index
        index.close()

    def test_they_are_what_is_tried_here(self, listed: FaissIndex, pictures: Float16Vectors) -> None:
        (segment,) = segments(listed)
        assert segment.pq_index.nlist == listed_codes.lists_of(15_800) > 100
        everywhere = np.ones(segment.count, np.bool_)
        look = segment.first_look(pictures[-1:].astype(np.float32), everywhere, 100)
        assert look is not None
        assert len(look.rows) == 100
        lists = listed_codes.ListedCodes(segment.pq_index)._centroids
        read = np.argmax(np.asarray(segment.vectors, np.float32) @ lists, axis=1)
        assert np.mean(np.diff(read) >= 0) > 0.99, "rows of one list lie together"

    @pytest.mark.parametrize("views", [1, 5])
    @pytest.mark.parametrize("every", [1, 2, 5, 50])
    def test_recall(self, listed: FaissIndex, pictures: Float16Vectors, wide: Wide, views: int, every: int) -> None:
        allowed = np.arange(len(pictures) - 200) % every == 0
        tags = TagFilter(frozenset([str(every)])) if every > 1 else None
        queries = pictures[-200:].reshape(-1, views, pictures.shape[1])[::2]
        found = [recall(ask(listed, one, tags=tags), nearest(wide, one, 100, allowed)) for one in queries]
        # Four times fewer rows than segments with lists have: their neighbours are farther apart.
        assert np.mean(found) >= 0.998

    def test_recall_beside_deleted_rows(self, listed: FaissIndex, pictures: Float16Vectors, wide: Wide) -> None:
        everything = rows(pictures[:-200])
        listed.remove(everything[::10])
        listed.write([deleted(one, 2) for one in everything[5::10]])
        allowed = ~np.isin(np.arange(len(everything)) % 10, (0, 5))
        found = [recall(ask(listed, one), nearest(wide, one, 100, allowed)) for one in pictures[-200::2]]
        assert np.mean(found) >= 0.998

    def test_recall_over_segments_and_libraries(
        self, pictures: Float16Vectors, wide: Wide, codebook: Codebook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What one library holds is near to the query, and the other two are far, one without lists."""
        monkeypatch.setattr(listed_codes, "MIN_LISTED_ROWS", 3000)
        monkeypatch.setattr(library_index_module, "MAX_SEGMENT_ROWS", 5000)
        monkeypatch.setattr(index_module, "MAX_SEGMENT_ROWS", 5000)
        order = np.argsort(wide @ wide[0])
        library = np.empty(len(order), np.int64)
        library[order] = np.minimum(np.arange(len(order)) * 3 // len(order), 2)
        index = FaissIndex({Kind.SIMILAR: codebook})
        index.fill(
            [[row(f"of {at}", f"p{number:05}", vector=pictures[number])] for number, at in enumerate(library.tolist())]
        )
        for view in pictures[-200::4]:
            query = Query(Kind.SIMILAR, ("of 0", "of 1", "of 2"), MODEL, view[None].astype(np.float32), 100, None)
            assert recall(index.search(query), nearest(wide, view, 100)) >= 0.98
        index.close()

    def test_fewer_pictures_than_are_asked_for(self, listed: FaissIndex, pictures: Float16Vectors) -> None:
        assert len(ask(listed, pictures[-1], k=20_000)) == 15_800
        assert len(ask(listed, pictures[-1], k=9000, tags=TagFilter(frozenset("2")))) == 7900


class TestCosines:
    def test_all_ways_answer_the_very_same(self, filled: FaissIndex, pictures: Float16Vectors, wide: Wide) -> None:
        """Through codes, through FAISS's exact scan, and looked at one by one in a tail."""
        scanned, growing = FaissIndex(), FaissIndex(max_mutable_rows=1 << 20)
        scanned.fill([rows(pictures[:-200])])
        growing.write(rows(pictures[:-200]))
        assert segments(scanned)[0].pq_index is None
        assert segments(growing) == []
        for view in pictures[-200::20]:
            exactly = [(one.key.id, one.cosine) for one in ask(growing, view)]
            assert [(one.key.id, one.cosine) for one in ask(scanned, view)] == exactly
            assert [(one.key.id, one.cosine) for one in ask(filled, view)] == exactly
            assert [one for one, _ in exactly] == nearest(wide, view, 100)
        scanned.close()
        growing.close()

    def test_cosine_is_that_of_the_float16_vectors(self, filled: FaissIndex, pictures: Float16Vectors) -> None:
        views = pictures[-3:]
        for found in ask(filled, views):
            vector = pictures[int(found.key.id[1:])].astype(np.float64)
            assert found.cosine == pytest.approx((views.astype(np.float64) @ vector).max(), abs=1e-6)

    def test_every_finite_float16_is_widened_exactly(self) -> None:
        numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        numbers = numbers[np.isfinite(numbers)]
        widened = inner_products.to_float32(numbers)
        assert np.array_equal(widened, numbers.astype(np.float32))
        assert np.array_equal(np.signbit(widened), np.signbit(numbers))

    @pytest.mark.parametrize("with_codes", [True, False])
    def test_ties_are_cut_by_id_however_many_there_are(self, codebook: Codebook, *, with_codes: bool) -> None:
        """The same picture 4,000 times between others that are better and worse: ids decide which are answered."""
        same = np.repeat(unit(1, 0.5)[None], 4000, axis=0)
        vectors = np.concatenate([same, random_vectors(4000, seed=1), unit(1)[None]])
        index = FaissIndex({Kind.SIMILAR: codebook} if with_codes else None)
        index.fill([rows(vectors)])
        found = [one.key.id for one in ask(index, unit(1), k=20)]
        assert found == ["p08000", *(f"p{number:05}" for number in range(19))]
        index.close()


class TestWrites:
    def test_fill_and_writes_end_the_same(self, pictures: Float16Vectors) -> None:
        some = rows(pictures[:1500], lambda number: (str(number % 3),))
        some += [deleted(one, 2) for one in some[:100]] + [
            described(one.but(revision=2), brief="new") for one in some[100:200]
        ]
        filled, written = FaissIndex(), FaissIndex(max_mutable_rows=100)
        filled.fill([some[:700], some[700:], some[:300]])
        for start in range(0, len(some), 77):
            written.write(some[start : start + 77])
        written.wait_for_compactions()
        for tags in (None, TagFilter(frozenset("1"))):
            assert ask(filled, pictures[-1], tags=tags) == ask(written, pictures[-1], tags=tags)
        assert filled.count(UID) == written.count(UID) == 1400
        filled.close()
        written.close()

    def test_fill_does_not_undo_what_was_written_before(self, pictures: Float16Vectors) -> None:
        index = FaissIndex()
        index.write([row(UID, "p00000", 5, brief="newer")])
        index.fill([rows(pictures[:50])])
        assert [one.metadata.brief for one in ask(index, unit(1)) if one.key.id == "p00000"] == ["newer"]
        assert index.count(UID) == 50
        index.close()

    def test_changes_made_while_a_segment_is_built_are_kept(
        self, pictures: Float16Vectors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Deletion, replacement, addition and removal fall between the copying of rows and the segment's first use."""
        index = FaissIndex(max_mutable_rows=100)
        during = threading.Event()

        def interrupted(*arguments: Any) -> compaction.Compaction | None:
            made = compaction.merge_segments(*arguments)
            if not during.is_set():
                during.set()
                index.write([deleted(row(UID, "p00001"), 2), row(UID, "p00002", 2, brief="new"), row(UID, "x", 1)])
                index.remove([row(UID, "p00003")])
            return made

        monkeypatch.setattr(library_index_module, "merge_segments", interrupted)
        index.write(rows(pictures[:100]))
        index.wait_for_compactions()
        assert during.is_set()
        found = {one.key.id: one.metadata.brief for one in ask(index, unit(1), k=200)}
        assert found.keys() == {f"p{number:05}" for number in range(100) if number not in (1, 3)} | {"x"}
        assert found["p00002"] == "new"
        assert index.count(UID) == 99
        index.write([row(UID, "p00001", 2)])
        assert index.count(UID) == 99
        index.close()

    def test_replaced_rows_take_no_room_for_long(self, pictures: Float16Vectors) -> None:
        index = FaissIndex(max_mutable_rows=64)
        some = rows(pictures[:2000])
        index.fill([some])
        for revision in range(2, 6):
            for start in range(0, 2000, 100):
                index.write([one.but(revision=revision) for one in some[start : start + 100]])
        index.wait_for_compactions()
        assert sum(segment.count for segment in segments(index)) < 2000 * 1.5
        assert len(segments(index)) < 10
        index.remove([one.but(revision=9) for one in some])
        index.wait_for_compactions()
        assert sum(segment.count for segment in segments(index)) < 100
        assert ask(index, unit(1)) == []
        index.close()

    def test_compaction_that_fails_is_logged_and_tried_again(
        self, pictures: Float16Vectors, monkeypatch: pytest.MonkeyPatch, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        index = FaissIndex(max_mutable_rows=64)
        with monkeypatch.context() as patch:

            def fail(*_: Any) -> None:
                raise MemoryError("no room")

            patch.setattr(library_index_module, "merge_segments", fail)
            index.write(rows(pictures[:64]))
            with pytest.raises(MemoryError):
                index.wait_for_compactions()
        assert any("could not be tidied" in line["message"] for line in log_lines())
        assert len(ask(index, unit(1), k=100)) == 64
        index.write([row(UID, "one more")])
        index.wait_for_compactions()
        assert [segment.count for segment in segments(index)] == [64]
        index.close()

    def test_closed_index_still_answers_and_takes_writes(self, pictures: Float16Vectors) -> None:
        index = FaissIndex(max_mutable_rows=10)
        index.write(rows(pictures[:5]))
        index.close()
        index.write(rows(pictures[:50]))
        assert len(ask(index, unit(1))) == 50


def run_beside(
    writers: Sequence[threading.Thread], searchers: Sequence[threading.Thread], done: threading.Event
) -> None:
    """Run the searchers until the writers have ended."""
    for thread in [*searchers, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in searchers:
        thread.join()


class TestThreads:
    def test_searches_beside_adds_changes_deletions_and_merges(
        self, pictures: Float16Vectors, codebook: Codebook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing crashes; what nobody touches is always found, once; what was deleted is never found again."""
        monkeypatch.setattr(library_index_module, "MAX_SEGMENT_ROWS", 5000)
        index = FaissIndex({Kind.SIMILAR: codebook}, max_mutable_rows=128)
        stay = [row(UID, f"stay{number}", vector=pictures[0], brief="stay") for number in range(30)]
        index.write(stay)
        gone: set[str] = set()
        failures: list[object] = []
        done = threading.Event()

        everything = rows(pictures)

        def add(first: int) -> None:
            for start in range(first, first + 7500, 50):
                added = everything[start : start + 50]
                index.write(added)
                index.write([described(one.but(revision=2), brief="changed") for one in added[::3]])
                index.write([deleted(one, 3) for one in added[::5]])
                gone.update(one.key.id for one in added[::5])

        def search(views: Float16Vectors) -> None:
            while not done.is_set():
                before = set(gone)
                found = [one.key.id for one in ask(index, views, k=200)]
                if len(found) != len(set(found)) or before & set(found):
                    failures.append(found)
                if not {one.key.id for one in stay} <= set(found):
                    failures.append("lost")

        searchers = [threading.Thread(target=search, args=(pictures[:views],)) for views in (1, 1, 5)]
        writers = [threading.Thread(target=add, args=(first,)) for first in (100, 7600)]
        run_beside(writers, searchers, done)
        index.wait_for_compactions()
        assert failures == []
        assert index.count(UID) == 30 + 15_000 - len(gone)
        assert any(segment.pq_index is not None for segment in segments(index))
        changed = [one.metadata.brief for one in ask(index, pictures[0], k=20_000)]
        assert len(changed) == index.count(UID)
        assert changed.count("changed") == sum(
            number % 50 % 3 == 0 and number % 50 % 5 != 0 for number in range(15_000)
        )
        index.close()

    def test_faiss_runs_on_one_thread(self) -> None:
        code = "import lookalike.stores.vectors.index, faiss; print(faiss.omp_get_max_threads())"
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})
        assert answer.stdout == "1\n"


class TestMemory:
    def test_sealed_row_takes_little_more_than_its_vector_and_code(self, filled: FaissIndex) -> None:
        """512 bytes of vector and 64 of code; half as much again is allowed for id, revision, texts and tags."""
        (segment,) = segments(filled)
        arrays = (
            segment.columns.hashes,
            segment.columns.hash_rows,
            segment.revisions,
            segment.live,
            segment.columns.records,
            segment.columns.record_offsets,
            segment.columns.tag_hashes,
            segment.columns.tag_rows,
        )
        size = segment.vectors.nbytes + segment.pq_index.codes.size()
        size += sum(array.nbytes for array in arrays)
        assert size / segment.count < 1.5 * (512 + 64)

    def test_sealed_rows_are_no_python_objects(self, filled: FaissIndex) -> None:
        (library_index,) = filled._libraries.values()
        assert isinstance(library_index, LibraryIndex)
        assert library_index._full == []
        assert library_index._mutable == {}


def test_colliding_hashes_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are found by hash; where two share one, the ids themselves decide."""
    monkeypatch.setattr("lookalike.stores.vectors.sealed_segment.hash_of", lambda _: 1)
    for room in ("mutable_segment", "library_index"):
        monkeypatch.setattr(f"lookalike.stores.vectors.{room}.hashes_of", lambda ids: np.ones(len(list(ids)), np.int64))
    index = FaissIndex()
    index.fill([[row(UID, f"p{number}", 1) for number in range(40)]])
    index.write([row(UID, "p7", 2, brief="new"), deleted(row(UID, "p8"), 2), row(UID, "p40", 1)])
    index.remove([row(UID, "p9", 1)])
    found = {one.key.id: one.metadata.brief for one in ask(index, unit(1))}
    assert found.keys() == {f"p{number}" for number in range(41)} - {"p8", "p9"}
    assert found["p7"] == "new"
    assert index.count(UID) == 39
    assert Key(UID, "p7") in {one.key for one in ask(index, unit(1))}
    index.close()


def test_rows_that_several_views_find_have_their_best_estimate() -> None:
    chance = np.random.default_rng(3)
    rows = np.stack([chance.permutation(50)[:20] for _ in range(5)])
    rows[1, 15:] = -1
    estimates = -np.sort(-chance.normal(size=rows.shape).astype(np.float32), axis=1)
    merged = sealed_segment._merged(estimates, rows, 50)
    best: dict[int, float] = {}
    for found, estimate in zip(rows.ravel().tolist(), estimates.ravel().tolist(), strict=True):
        if found >= 0:
            best[found] = max(estimate, best.get(found, -np.inf))
    assert merged.estimates is not None
    assert dict(zip(merged.rows.tolist(), merged.estimates.tolist(), strict=True)) == best
    assert merged.bound == max(estimates[view, -1] for view in (0, 2, 3, 4))


def test_the_depth_grows_with_the_rows_and_threefold_with_each_round() -> None:
    first = Depth.for_best(100)
    few, many = first.share(10_000, 10_000).estimated, first.share(500_000, 500_000).estimated
    assert (few, many) == (4600 + 100, 4600 + 5000)
    assert first.deeper().share(500_000, 500_000).estimated == 3 * many
    assert first.share(250_000, 1_000_000).estimated < many / 2
