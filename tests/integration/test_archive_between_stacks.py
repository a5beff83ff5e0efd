"""From one machine to the stores of AWS and back by archives: every row, score and original is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Metadata
from lookalike.embedding.lazy import LazyEmbedder, LazyVerifier
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.s3_objects import CONFIG, S3Store
from lookalike.stores.local.local_stores import LocalStores
from tests.servers.dynamodb import server as dynamodb
from tests.servers.opensearch.server import fresh_index
from tests.support import photographs
from tests.support.archives import contents, exported, put_back
from tests.support.fakes import memory_ports

SHOP = Application("access", "secret", "10000001", "tenant", "shop")
BOUNDS = Bounds(1 << 24, 1, 4096, 1 << 24, FORMATS)
NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "china.jpg", "flower.jpg")

#: Scores of both stacks differ by no more than this.
NEARLY = 1e-3


@pytest.fixture(scope="module")
def embedder() -> LazyEmbedder:
    return LazyEmbedder(None, 1)


@contextmanager
def laptop(folder: Path, embedder: LazyEmbedder) -> Iterator[Ports]:
    with closing(LocalStores(folder, embedder)) as stores:
        given = {name: getattr(stores, name) for name in ("catalog", "index", "originals", "maps")}
        yield memory_ports(SHOP, **given, embedder=embedder, verifier=LazyVerifier(embedder))


def stack(embedder: LazyEmbedder) -> Ports:
    table = dynamodb.new_table()
    session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    client = session.client("s3", endpoint_url=dynamodb.moto(), config=CONFIG)
    bucket = f"originals-{uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    return memory_ports(
        SHOP,
        catalog=DynamoCatalog(table),
        maps=DynamoMaps(table),
        originals=S3Store(client, bucket),
        index=fresh_index(f"archive-{uuid4().hex[:8]}"),
        embedder=embedder,
        verifier=LazyVerifier(embedder),
    )


def filled(ports: Ports) -> None:
    for kind, name, identity in (
        (Kind.SAME, "shop", Identity.OWN),
        (Kind.SIMILAR, "similar", Identity.PICTURE),
        (Kind.PRODUCT, "things", Identity.OWN),
    ):
        ref = LibraryRef(SHOP.tenant, name, kind, identity)
        for number, photograph in enumerate(NAMES):
            data = photographs.jpeg(photographs.photograph(photograph))
            id_ = f"{photograph}/ü" if identity is Identity.OWN else None
            old_sign = f"{number},7" if id_ is None and number else ""
            said = Metadata(brief=photograph, tags=(str(number % 2),), old_sign=old_sign)
            add(ports, Add(ref, Source(BOUNDS, data=data), said, id_))


def scores(ports: Ports) -> Iterator[tuple[str, float]]:
    """The answers of each library to cropped copies."""
    for library in ports.catalog.libraries(SHOP.tenant):
        ref = LibraryRef(library.tenant, library.name, library.kind, library.identity)
        for name in NAMES[:3]:
            query = photographs.jpeg(photographs.cropped(photographs.photograph(name)))
            found = search(ports, Search(ref, Source(BOUNDS, data=query), count=5))
            yield from ((f"{library.name} {match.candidate.key.id}", match.score) for match in found.matches)


def test_there_and_back(tmp_path: Path, embedder: LazyEmbedder) -> None:
    with laptop(tmp_path / "first", embedder) as first, laptop(tmp_path / "second", embedder) as second:
        filled(first)
        exported(first, SHOP, tmp_path / "to-aws")
        there = stack(embedder)
        put_back(there, SHOP, tmp_path / "to-aws")
        exported(there, SHOP, tmp_path / "from-aws")
        put_back(second, SHOP, tmp_path / "from-aws")
        for name in ("shop", "similar", "things"):
            was = contents(first, SHOP, name)
            assert len(was) == len(NAMES)
            assert contents(there, SHOP, name) == was
            assert contents(second, SHOP, name) == was
        answered = list(scores(first))
        assert len(answered) > len(NAMES)
        assert list(scores(second)) == answered
        on_aws = list(scores(there))
    assert [name for name, _ in on_aws] == [name for name, _ in answered]
    assert [score for _, score in on_aws] == pytest.approx([score for _, score in answered], abs=NEARLY)
