"""Both sets of stores give the same answers: SQLite with FAISS, and DynamoDB with OpenSearch.

Where libraries are large and only the index differs, a catalog in memory stands for DynamoDB.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Embedding, Metadata, Picture, Pixels
from lookalike.domain.search import Query, TagFilter
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.ranking import Page
from lookalike.service.search import Search, search
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.dynamodb_table import Table
from lookalike.stores.aws.opensearch_index import MAX_EXACT_SEARCH
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.vectors.index import FaissIndex
from lookalike.verification.verifier import FeatureMapVerifier
from tests.contract.rows import MODEL, deleted, digest_of, library, row
from tests.servers.dynamodb import server as dynamodb
from tests.servers.opensearch.server import fresh_index
from tests.support import photographs
from tests.support.clusters import clustered
from tests.support.fakes import MemoryMaps, TinyEmbedder, memory_ports

#: Scores of both differ by no more than this.
NEARLY = 1e-3

BOUNDS = Bounds(1 << 24, 1, 4096, 1 << 24, frozenset({"PNG"}))


class DirectionEmbedder(TinyEmbedder):
    """Makes of a plain picture the vector that its colour numbers, and of each of its parts one near that."""

    model = MODEL

    def __init__(self) -> None:
        self.vectors = clustered(4000, seed=1).astype(np.float32)

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        return [self._direction(pixels, view) for view, pixels in enumerate(pictures)]

    def _direction(self, pixels: Pixels, view: int) -> Embedding:
        number = int(pixels[0, 0, 0]) * 256 + int(pixels[0, 0, 1])
        vector = self.vectors[number] + 0.6 * view * self.vectors[(number + 1000 * view) % 4000]
        unit = (vector / np.linalg.norm(vector)).astype(np.float16)
        return Embedding(dict.fromkeys(Kind, unit), feature_map=unit.tobytes())

    def score(self, kind: Kind, cosine: float) -> float:
        return 1 / (1 + float(np.exp(6 - 12 * cosine)))  # about as steep as any kind's is

    def threshold(self, kind: Kind) -> float:
        return 0.2


class Stacks:
    """The same pictures in both sets of stores. ``table``: of DynamoDB, for the rows and maps of AWS."""

    def __init__(
        self, folder: Path, embedder: TinyEmbedder | OnnxEmbedder, table: Table | None = None, **others: object
    ) -> None:
        stores = SqliteStores(folder / "catalog.db")
        codebooks = {
            kind: found for kind in Kind if (found := OnnxEmbedder(find_model(None)).codebook(kind)) is not None
        }
        index = FaissIndex(codebooks)
        rows: dict[str, object] = {"maps": MemoryMaps()}
        if table is not None:
            rows = {"catalog": DynamoCatalog(table), "maps": DynamoMaps(table)}
        given = {"embedder": embedder, **others}
        self.local = memory_ports(catalog=stores.catalog, index=index, maps=stores.maps, **given)
        self.aws = memory_ports(index=fresh_index(f"congruence-{next(_NUMBERS)}", "100ms"), **rows, **given)
        self.opened: tuple[FaissIndex, SqliteStores] = (index, stores)

    @property
    def both(self) -> tuple[Ports, Ports]:
        return self.local, self.aws

    def keep(self, rows: Sequence[Picture]) -> None:
        """These rows in the catalogs and in the indices, each with its vector for a map."""
        for ports in self.both:
            for one in rows:
                ports.catalog.put(one, None)
                ports.maps.put_map(one.object_key, one.vector.tobytes())
            ports.index.write(rows)

    def close(self) -> None:
        for one in self.opened:
            one.close()


_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    with closing(Stacks(tmp_path_factory.mktemp("congruence"), DirectionEmbedder())) as made:
        yield made


def plain(number: int) -> Source:
    """A picture of one colour, which numbers it."""
    pixels = np.full((20, 20, 3), (number // 256, number % 256, 0), np.uint8)
    return png(Image.fromarray(pixels))


def png(picture: Image.Image) -> Source:
    return Source(BOUNDS, photographs.png(picture))


def agree(one: Page, other: Page) -> None:
    """Asserts that two pages are the same but for the order of what scores the same."""
    assert one.more == other.more
    scores = [np.array([match.score for match in page.matches]) for page in (one, other)]
    assert scores[0] == pytest.approx(scores[1], abs=NEARLY)
    first, second = ({match.candidate.key: match for match in page.matches} for page in (one, other))
    for key in first.keys() & second.keys():
        assert first[key].score == pytest.approx(second[key].score, abs=NEARLY)
        assert first[key].reason == second[key].reason
        a, b = first[key].candidate, second[key].candidate
        assert (a.revision, a.added, a.digest, a.object_key) == (b.revision, b.added, b.digest, b.object_key)
        assert a.metadata == b.metadata
    for page in (first, second):
        for key in page.keys() - (first.keys() & second.keys()):
            # It fell off the end of the other, changing places with one that scores the same.
            assert min(abs(page[key].score - scores[0][end]) for end in (0, -1)) <= NEARLY


PAGES = [(0, 1), (0, 10), (0, 300), (7, 95), (100, 1), (295, 10), (300, 300), (990, 300), (0, 1000), (1000, 1)]
FILTERS = [
    None,
    TagFilter(frozenset("2")),
    TagFilter(any_of=frozenset("35")),
    TagFilter(frozenset("23")),
    TagFilter(frozenset("2"), frozenset("35"), frozenset("7")),
]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("size", [0, 1, 60, 103, 750, 2000])
def test_answers_are_the_same(stacks: Stacks, size: int, kind: Kind) -> None:
    """Random libraries with twins, deleted and tagged pictures; random queries, filters and pages."""
    answer_the_same(stacks, size, kind)


@pytest.mark.parametrize("kind", Kind)
def test_answers_are_the_same_from_dynamodb(tmp_path: Path, kind: Kind) -> None:
    with closing(Stacks(tmp_path, DirectionEmbedder(), dynamodb.new_table())) as stacks:
        answer_the_same(stacks, 120, kind)


def answer_the_same(stacks: Stacks, size: int, kind: Kind) -> None:
    """Asserts it of a library of so many pictures."""
    chance = np.random.default_rng(size)
    ref = library("tenant", f"{kind}-{size}", f"{digest_of(f'{kind}{size}')[:32]}", kind)
    for ports in stacks.both:
        ports.catalog.create_library(ref)
    numbers = chance.permutation(4000)[:size]
    vectors = stacks.local.embedder.vectors[numbers].astype(np.float16)  # type: ignore[attr-defined]
    vectors[: size // 10] = vectors[size // 10 : size // 10 * 2]
    rows = [
        row(
            ref.uid,
            digest_of(f"{size} {number}"),
            kind=kind,
            vector=vectors[place],
            digest=digest_of(f"{size} {number}"),
            brief=f"brief {number}",
            desc='{"x": 1}' * (number % 3),
            tags=tuple(str(n) for n in (2, 3, 5) if number % n == 0),
        )
        for place, number in enumerate(numbers.tolist())
    ]
    stacks.keep([deleted(one, 2) if chance.random() < 0.1 else one for one in rows])
    assert stacks.local.index.count(ref.uid) == stacks.aws.index.count(ref.uid)
    for number in chance.choice([*numbers, *range(4000)], 6):
        tags = FILTERS[chance.integers(len(FILTERS))]
        for start, count in chance.permutation(PAGES)[:3].tolist():
            command = Search(LibraryRef("tenant", ref.name, kind), plain(int(number)), start, count, tags)
            agree(search(stacks.local, command), search(stacks.aws, command))


def test_photographs_are_found_the_same(tmp_path: Path) -> None:
    """Through the model and all use cases: added, searched by parts of them, proved."""
    embedder = OnnxEmbedder(find_model(None))
    verifier = FeatureMapVerifier(embedder.match_scorer)
    with closing(Stacks(tmp_path, embedder, dynamodb.new_table(), verifier=verifier)) as stacks:
        for kind, ports in itertools.product(Kind, stacks.both):
            ports.catalog.create_library(library("tenant", kind, digest_of(kind)[:32], kind))
            for name in photographs.NAMES:
                add(
                    ports,
                    Add(
                        LibraryRef("tenant", kind, kind),
                        png(photographs.photograph(name, 300)),
                        metadata=Metadata(brief=name),
                    ),
                )
        reasons = set()
        for kind, name in itertools.product(Kind, photographs.NAMES[:6]):
            whole = photographs.photograph(name, 300)
            part = whole.crop((0, 0, whole.width * 3 // 4, whole.height * 4 // 5))
            for asked in (whole, part):
                command = Search(LibraryRef("tenant", kind, kind), png(asked))
                pages = [search(ports, command) for ports in stacks.both]
                agree(*pages)
                reasons |= {match.reason for match in pages[0].matches}
        assert len(reasons) == 3


def test_recall_in_a_library_that_is_not_small(recall_of: Callable[[int], float]) -> None:
    for views in (1, 5):
        assert recall_of(views) >= 0.98


@pytest.fixture(scope="module")
def recall_of() -> Callable[[int], float]:
    """Share of the 100 nearest of 12,000 that OpenSearch finds, by the number of views."""
    vectors = clustered(12_000, seed=2)
    assert len(vectors) > 2 * MAX_EXACT_SEARCH
    index = fresh_index("recall", "1s")
    for start in range(0, len(vectors), 1000):
        numbers = range(start, start + 1000)
        index.write([row("uid", str(number), vector=vectors[number]) for number in numbers], wait=start == 11_000)
    assert index.count("uid") == len(vectors)
    wide = vectors.astype(np.float32)

    def ask(views: NDArray[np.float32]) -> float:
        found = {int(one.key.id) for one in index.search(Query(Kind.SIMILAR, ("uid",), MODEL, views, 100))}
        nearest = np.argsort(-(wide @ views.T).max(axis=1))[:100]
        return len(found & set(nearest.tolist())) / 100

    def recall(views: int) -> float:
        queries = clustered(25 * views, seed=3).astype(np.float32).reshape(25, views, -1)
        return float(np.mean([ask(one) for one in queries]))

    return recall
