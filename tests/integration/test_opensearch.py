"""The index on OpenSearch beyond its contract: rejected documents, generations, sizes, requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Vector
from lookalike.domain.search import Candidate, Generation, Query, TagFilter
from lookalike.errors import IndexWriteError, Unavailable
from lookalike.stores.aws import opensearch_admin, opensearch_bulk, opensearch_index
from lookalike.stores.aws.opensearch_admin import create_index, search_on_all_cores, update_mappings
from lookalike.stores.aws.opensearch_client import connect
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from tests.contract.rows import MODEL, deleted, random_vectors, row, unit
from tests.servers.opensearch.server import PATIENCE, shared
from tests.support.fakes import MemoryGenerations


class CountingGenerations(MemoryGenerations):
    """Counts its reads."""

    reads = 0

    def generation(self, kind: Kind) -> Generation | None:
        self.reads += 1
        return super().generation(kind)

    def switch_to(self, read: str, *others: str) -> None:
        """Set the generation of similar pictures."""
        self.rows[Kind.SIMILAR] = Generation(read, (read, *others))


class ManualClock:
    """Seconds, set by the test."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def client() -> Iterator[OpenSearch]:
    made = connect(shared())
    yield made
    made.close()


@pytest.fixture
def new_index(client: OpenSearch) -> Iterator[Callable[[], str]]:
    """Creates indices, which are deleted after the test."""
    names: list[str] = []

    def make() -> str:
        names.append(f"index-{uuid4().hex}")
        create_index(client, names[-1], replicas=0, refresh_interval="10ms")
        return names[-1]

    yield make
    client.indices.delete(index=",".join(names), params={"ignore_unavailable": "true"})


@pytest.fixture
def generations(new_index: Callable[[], str]) -> CountingGenerations:
    counting = CountingGenerations()
    counting.switch_to(new_index())
    return counting


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def index(client: OpenSearch, generations: CountingGenerations, clock: ManualClock) -> OpenSearchIndex:
    return OpenSearchIndex(client, generations, clock, PATIENCE)


def search(index: OpenSearchIndex, *libraries: str, k: int = 10, tags: TagFilter | None = None) -> list[Candidate]:
    vectors = unit(1).astype(np.float32)[None]
    return list(index.search(Query(Kind.SIMILAR, libraries or ("uid",), MODEL, vectors, k, tags)))


def ids(found: list[Candidate]) -> list[str]:
    return [one.key.id for one in found]


class TestRefusals:
    @pytest.mark.parametrize(
        ("vector", "reason"),
        [
            (np.zeros(256, np.float16), "zero vector"),
            (np.full(256, np.nan, np.float16), "NaN"),
            (np.full(256, -np.inf, np.float16), "Infinity"),
            (unit(1)[:8], "dimension mismatch"),
        ],
    )
    def test_what_no_index_can_hold_is_refused_for_good_and_the_rest_is_written(
        self, index: OpenSearchIndex, vector: Vector, reason: str, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        with pytest.raises(IndexWriteError) as failed:
            index.write([row("uid", "before"), row("uid", "bad", vector=vector), row("uid", "after")])
        assert failed.value.again == frozenset()
        assert list(failed.value.refused) == [Key("uid", "bad")]
        assert reason in failed.value.refused[Key("uid", "bad")]
        assert ids(search(index)) == ["after", "before"]
        assert any(reason in str(line.get("first")) for line in log_lines())

    @pytest.mark.parametrize("revision", [-5, int("9" * 30)])
    def test_what_cannot_even_be_read_is_refused_and_the_rest_is_written(
        self, index: OpenSearchIndex, revision: int
    ) -> None:
        rows = [row("uid", f"p{number}") for number in range(7)]
        rows[4] = rows[4].but(revision=revision)
        with pytest.raises(IndexWriteError) as failed:
            index.write(rows)
        assert failed.value.again == frozenset()
        assert list(failed.value.refused) == [Key("uid", "p4")]
        assert failed.value.refused[Key("uid", "p4")]
        assert ids(search(index)) == ["p0", "p1", "p2", "p3", "p5", "p6"]
        with pytest.raises(IndexWriteError) as failed:
            index.remove(rows)
        assert list(failed.value.refused) == [Key("uid", "p4")]

    def test_its_deletion_is_taken_all_the_same(self, index: OpenSearchIndex) -> None:
        bad = row("uid", "bad", vector=np.zeros(256, np.float16))
        index.write([deleted(bad, 2)])
        index.remove([bad.but(revision=3)])

    def test_a_field_that_is_not_mapped_is_an_error(
        self, index: OpenSearchIndex, client: OpenSearch, new_index: Any
    ) -> None:
        name = new_index()
        answer = client.bulk(
            body=[{"index": {"_index": f"{name}.WRITE", "routing": "uid"}}, {"library": "uid", "surprise": 1}]
        )
        assert answer["items"][0]["index"]["error"]["type"] == "strict_dynamic_mapping_exception"


def test_a_write_that_another_has_overtaken_is_seen_all_the_same(
    index: OpenSearchIndex, client: OpenSearch, generations: CountingGenerations
) -> None:
    settings = {"index": {"refresh_interval": "1h"}}
    client.indices.put_settings(index=generations.rows[Kind.SIMILAR].read, body=settings)
    index.write([row("uid", "picture")], wait=False)  # as the stream's replay does
    assert ids(search(index)) == []
    index.write([row("uid", "picture")])
    assert ids(search(index)) == ["picture"]


class TestGenerations:
    def test_none_is_said_with_what_to_do_and_seen_once_it_is_there(
        self, client: OpenSearch, new_index: Callable[[], str]
    ) -> None:
        generations = CountingGenerations()
        index = OpenSearchIndex(client, generations, seconds=PATIENCE)
        for call in (lambda: index.write([row("uid", "a")]), lambda: search(index), lambda: index.count("uid")):
            with pytest.raises(Unavailable, match="lookalike setup"):
                call()
        generations.switch_to(new_index())
        index.write([row("uid", "a")])
        assert ids(search(index)) == ["a"]
        assert index.count("uid") == 1

    def test_all_are_written_and_removed_from_and_one_is_read(
        self, index: OpenSearchIndex, generations: CountingGenerations, new_index: Callable[[], str], clock: ManualClock
    ) -> None:
        old, new = generations.rows[Kind.SIMILAR].read, new_index()
        index.write([row("uid", "before")])
        generations.switch_to(old, new)
        clock.now += 31
        index.write([row("uid", "during"), row("uid", "passing")])
        index.remove([row("uid", "passing")], wait=True)
        assert ids(search(index)) == ["before", "during"]
        generations.switch_to(new)
        clock.now += 29
        assert ids(search(index)) == ["before", "during"]
        clock.now += 2
        assert ids(search(index)) == ["during"]
        assert index.count("uid") == 1

    def test_they_are_asked_for_twice_a_minute_at_most(
        self, index: OpenSearchIndex, generations: CountingGenerations, clock: ManualClock
    ) -> None:
        for second in range(60):
            clock.now = float(second)
            search(index)
        assert generations.reads == 2

    def test_one_that_is_gone_is_not_made_anew_by_a_write(
        self, index: OpenSearchIndex, generations: CountingGenerations, client: OpenSearch
    ) -> None:
        gone = f"gone-{uuid4().hex}"
        generations.switch_to(generations.rows[Kind.SIMILAR].read, gone)
        for write in (index.write, index.remove):
            with pytest.raises(IndexWriteError) as failed:
                write([row("uid", "a")])
            assert failed.value.again == {Key("uid", "a")}
            assert failed.value.refused == {}
        assert client.indices.get(index=f"{gone}*") == {}
        generations.switch_to(gone)
        with pytest.raises(Unavailable, match="index_not_found"):
            search(OpenSearchIndex(client, generations, seconds=PATIENCE))

    def test_making_one_again_leaves_it_as_it_is(
        self, index: OpenSearchIndex, generations: CountingGenerations, client: OpenSearch
    ) -> None:
        index.write([row("uid", "a")])
        create_index(client, generations.rows[Kind.SIMILAR].read, shards=3)
        assert ids(search(index)) == ["a"]

    def test_one_of_an_older_version_is_told_of_added_fields(
        self,
        new_index: Callable[[], str],
        generations: CountingGenerations,
        client: OpenSearch,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        known = opensearch_admin._MAPPINGS["properties"]
        older = {name: said for name, said in known.items() if name != "old_sign"}
        monkeypatch.setitem(opensearch_admin._MAPPINGS, "properties", older)
        generations.switch_to(new_index())
        index, signed = OpenSearchIndex(client, generations, seconds=PATIENCE), row("uid", "a", old_sign="1,2")
        index.write([row("uid", "b", vector=unit(0, 1))])
        with pytest.raises(IndexWriteError, match="strict_dynamic_mapping"):
            index.write([signed])
        for _ in range(2):
            update_mappings(client, generations.rows[Kind.SIMILAR].read)
        index.write([signed])
        assert [one.metadata.old_sign for one in search(index)] == ["1,2", ""]

    def test_one_with_an_impossible_name_is_an_error(self, client: OpenSearch) -> None:
        with pytest.raises(Unavailable, match="invalid_index_name"):
            create_index(client, "Upper")


class TestDocuments:
    def test_texts_and_ids_as_long_as_callers_may_make_them(self, index: OpenSearchIndex) -> None:
        one = row("uid", "猫" * 170, brief="b" * 60_000, label="l" * 5000, desc='{"x": "' + "ü" * 40_000 + '"}')
        index.write([one])
        (found,) = search(index)
        assert (found.key, found.metadata) == (one.key, one.metadata)

    def test_what_is_deleted_leaves_the_graph(
        self, index: OpenSearchIndex, generations: CountingGenerations, client: OpenSearch
    ) -> None:
        def with_vector() -> int:
            body = {"query": {"exists": {"field": "vector"}}}
            return int(client.count(index=generations.rows[Kind.SIMILAR].read, body=body)["count"])

        one = row("uid", "a", 1)
        index.write([one, row("uid", "b", 1)])
        assert with_vector() == 2
        index.write([deleted(one, 2)])
        assert with_vector() == 1

    def test_vectors_are_not_in_the_source(
        self, index: OpenSearchIndex, generations: CountingGenerations, client: OpenSearch
    ) -> None:
        index.write([row("uid", "a")])
        (hit,) = client.search(index=generations.rows[Kind.SIMILAR].read)["hits"]["hits"]
        assert "vector" not in hit["_source"]
        assert hit["_routing"] == "uid"


class RecordedBodies:
    """Records the bodies of a client's requests."""

    def __init__(self, client: OpenSearch, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bodies: list[Any] = []
        call = getattr(client, name)

        def record(**given: Any) -> Any:
            self.bodies.append(given["body"])
            return call(**given)

        monkeypatch.setattr(client, name, record)


class TestRequests:
    def test_no_bulk_is_larger_than_the_server_takes(
        self, index: OpenSearchIndex, client: OpenSearch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bulks = RecordedBodies(client, "bulk", monkeypatch)
        monkeypatch.setattr(opensearch_bulk, "_MAX_BULK_BYTES", 20_000)
        vectors = random_vectors(30, seed=1)
        rows = [row("uid", f"p{n:02}", vector=vector, brief="b" * (500 * n)) for n, vector in enumerate(vectors)]
        index.write([*rows, row("uid", "larger", brief="b" * 30_000)])
        assert index.count("uid") == 31
        assert 6 < len(bulks.bodies) < 31
        assert max(map(len, bulks.bodies[:-1])) <= 20_000 < len(bulks.bodies[-1])

    def test_nothing_is_sent_for_nothing(
        self, index: OpenSearchIndex, client: OpenSearch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bulks = RecordedBodies(client, "bulk", monkeypatch)
        index.write([])
        index.remove([])
        assert bulks.bodies == []

    def test_small_libraries_are_searched_exactly_and_large_ones_by_graphs(
        self, index: OpenSearchIndex, client: OpenSearch, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which it is is looked up once a minute."""
        searches, counts = RecordedBodies(client, "search", monkeypatch), RecordedBodies(client, "count", monkeypatch)
        monkeypatch.setattr(opensearch_index, "MAX_EXACT_SEARCH", 3)

        def k_and_ef_search(k: int) -> tuple[int, int]:
            search(index, k=k)
            near = searches.bodies[-1]["query"]["knn"]["vector"]
            return near["k"], near["method_parameters"]["ef_search"]

        index.write([row("uid", f"p{number}") for number in range(3)])
        assert k_and_ef_search(7) == (10_000, 10_000)
        index.write([row("uid", "p3")])
        clock.now = 59
        assert k_and_ef_search(7) == (10_000, 10_000)
        clock.now = 61
        assert k_and_ef_search(7) == (100, 300)
        assert k_and_ef_search(302) == (302, 604)
        assert k_and_ef_search(1002) == (1002, 2004)
        assert k_and_ef_search(10_002) == (10_000, 10_000)
        assert len(counts.bodies) == 2

    def test_more_libraries_than_an_address_has_room_for(self, index: OpenSearchIndex) -> None:
        names = [uuid4().hex for _ in range(300)]
        index.write([row(name, "a") for name in names])
        assert {one.key.library for one in search(index, *names, k=1000)} == set(names)

    def test_sizes_that_are_remembered_do_not_pile_up(
        self, index: OpenSearchIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opensearch_index, "_MAX_CACHED_SIZES", 3)
        for number in range(10):
            assert search(index, f"library-{number}") == []
        assert len(index._sizes) <= 3


class TestSearchOnAllCores:
    """A cluster's setting, which the server of these tests has only while they run."""

    SETTING = "search.concurrent_segment_search.mode"

    @pytest.fixture(autouse=True)
    def unset(self, client: OpenSearch) -> Iterator[None]:
        self.put(client, None)
        yield
        self.put(client, None)

    def put(self, client: OpenSearch, mode: str | None) -> None:
        client.cluster.put_settings(body={"persistent": {self.SETTING: mode}})

    def mode(self, client: OpenSearch) -> object:
        return client.cluster.get_settings(params={"flat_settings": "true"})["persistent"].get(self.SETTING)

    def test_it_is_set_where_nothing_is_said(self, client: OpenSearch) -> None:
        assert search_on_all_cores(client)
        assert self.mode(client) == "auto"

    def test_what_an_operator_has_said_stays(self, client: OpenSearch) -> None:
        self.put(client, "none")
        assert search_on_all_cores(client)
        assert self.mode(client) == "none"

    def test_a_cluster_that_refuses_is_searched_as_it_is(
        self, client: OpenSearch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**_: object) -> None:
            raise AuthorizationException(403, "no permissions", {})

        monkeypatch.setattr(client.cluster, "put_settings", refuse)
        refused = not search_on_all_cores(client)
        monkeypatch.undo()
        assert refused
        assert self.mode(client) is None

    def test_both_ways_find_the_same(
        self, client: OpenSearch, index: OpenSearchIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opensearch_index, "MAX_EXACT_SEARCH", 3)
        vectors = random_vectors(300, seed=1)
        for start in range(0, 300, 50):  # a segment each
            rows = [row("uid", str(number), vector=vectors[number]) for number in range(start, start + 50)]
            index.write(rows, wait=True)
        query = Query(Kind.SIMILAR, ("uid",), MODEL, random_vectors(2, seed=2).astype(np.float32), 50)
        alone = index.search(query)
        assert search_on_all_cores(client)
        assert index.search(query) == alone
        assert len(alone) == 50
