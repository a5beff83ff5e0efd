"""What docs/cost.md says one call costs on AWS is what it costs: counted by DynamoDB itself, and by the others' calls."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lookalike.domain.library import Kind
from lookalike.domain.search import Generation
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports, VectorIndex
from lookalike.service.purge import purge
from lookalike.settings import Settings
from lookalike.stores.aws.dynamodb_applications import DynamoApplications
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_embeddings import DynamoEmbeddings
from lookalike.stores.aws.dynamodb_generations import DynamoGenerations
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.dynamodb_table import Table
from lookalike.stores.aws.kms_sealer import KmsSealer
from lookalike.stores.aws.opensearch_admin import create_index
from lookalike.stores.aws.opensearch_client import connect
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from lookalike.stores.aws.s3_objects import CONFIG, S3Store
from lookalike.stores.aws.segment_models import SegmentModels
from lookalike.stores.aws.segment_objects import SegmentObjects
from lookalike.verification.verifier import FeatureMapVerifier
from tests.conftest import ALICE
from tests.servers.dynamodb import server
from tests.servers.dynamodb.units import counted
from tests.servers.opensearch import server as opensearch
from tests.support import documents, photographs
from tests.support.baidu import Caller, picture
from tests.support.emulated import aws
from tests.support.fakes import SetClock, memory_ports

ROOT = Path(__file__).resolve().parents[2]

#: Dollars a month of what does not depend on pictures or calls, as the page says.
FIXED = 13.04


@dataclass(frozen=True, slots=True)
class Bench:
    """Ports over stores that count their calls. ``calls``: those of S3 and KMS by name, and requests to OpenSearch.

    ``noted``: which of them are reported.
    """

    fresh: Callable[[], Ports]
    calls: Counter[str]
    clock: SetClock
    noted: tuple[str, ...]

    def cost(self, call: Callable[[Ports], object]) -> tuple[float, ...]:
        """Read units, write units, objects put, requests to the index (with segments: objects got), uses of the key.

        Measured as a function's first call: with empty caches of applications, indices and libraries' sizes.
        """
        ports = self.fresh()
        self.calls.clear()
        with counted(server.client()) as units, serving(ports):
            call(ports)
        return units.read, units.written, *(self.calls[name] for name in self.noted)


#: Makes the index of a process, given the table and S3.
MakeIndex = Callable[[Table, Any], VectorIndex]


@contextmanager
def counting(make_index: MakeIndex, calls: Counter[str], noted: tuple[str, ...]) -> Iterator[Bench]:
    """A bench with this index, which notes these calls."""
    dynamodb, clock, embedder = server.new_table(), SetClock(1_767_323_045_000), OnnxEmbedder(find_model(None))
    with aws() as make:
        s3, kms = make("s3", config=CONFIG), make("kms")
        s3.create_bucket(Bucket="originals")
        for client in (s3, kms):
            client.meta.events.register("after-call.*.*", lambda model, **_: calls.update([model.name]))
        sealer = KmsSealer(kms, kms.create_key()["KeyMetadata"]["Arn"])
        DynamoApplications(dynamodb, sealer).save_application(ALICE)

        def fresh() -> Ports:
            return memory_ports(
                settings=Settings(purge_after_days=0),
                applications=DynamoApplications(dynamodb, sealer),
                catalog=DynamoCatalog(dynamodb),
                maps=DynamoMaps(dynamodb),
                originals=S3Store(s3, "originals"),
                index=make_index(dynamodb, s3),
                embedder=embedder,
                verifier=FeatureMapVerifier(embedder.match_scorer),
                clock=clock,
            )

        yield Bench(fresh, calls, clock, noted)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """With OpenSearch."""
    calls, search, name = Counter[str](), connect(opensearch.shared()), f"costs-{uuid4().hex}"
    for kind in Kind:
        create_index(search, f"{name}-{kind}", replicas=0, refresh_interval="10ms")
    perform = search.transport.perform_request

    def perform_and_count(*arguments: Any, **options: Any) -> Any:
        calls["index"] += 1
        return perform(*arguments, **options)

    search.transport.perform_request = perform_and_count  # type: ignore[method-assign]

    def index(table: Table, _s3: Any) -> VectorIndex:
        generations = DynamoGenerations(table)
        for kind in Kind:
            if generations.generation(kind) is None:
                generations.save_generation(kind, Generation(f"{name}-{kind}", (f"{name}-{kind}",)), None)
        return OpenSearchIndex(search, generations, seconds=opensearch.PATIENCE)

    with closing(search), counting(index, calls, ("PutObject", "index", "Decrypt")) as made:
        yield made


@pytest.fixture
def bench_of_segments() -> Iterator[Bench]:
    """With segments."""

    def index(table: Table, s3: Any) -> VectorIndex:
        embeddings = DynamoEmbeddings(table)
        return SegmentModels(table, SegmentObjects(s3, "originals"), DynamoCatalog(table), embeddings).shared

    with counting(index, Counter(), ("PutObject", "GetObject", "Decrypt")) as made:
        yield made


def measured(bench: Bench, library: str) -> dict[str, tuple[float, ...]]:
    """Cost of each operation on a library that already has pictures."""
    caller = Caller(ALICE)
    with serving(bench.fresh()):
        for seed in range(60):
            caller.add(library, picture(seed))
    file = photographs.jpeg(photographs.photograph("coffee.png", 512))
    costs: dict[str, tuple[float, ...]] = {}
    costs["add"] = bench.cost(lambda _: caller.add(library, file, brief="x" * 256))
    with serving(bench.fresh()):
        (sign,) = {one["cont_sign"] for one in caller.call(library, "search", image=file)["result"][:1]}
    copy = photographs.jpeg(photographs.photograph("coffee.png", 400), quality=60)
    costs["search"] = bench.cost(lambda _: caller.call(library, "search", image=copy, rn=1))
    costs["update"] = bench.cost(lambda _: caller.call(library, "update", cont_sign=sign, brief="y" * 256))
    costs["delete"] = bench.cost(lambda _: caller.call(library, "delete", cont_sign=sign))
    bench.clock.now += 10_000
    costs["purge"] = bench.cost(lambda ports: purge(ports, lambda: True))
    return costs


def table(header: str) -> list[list[str]]:
    """The rows of the page's table whose first line starts like this."""
    return documents.table("docs/cost.md", header)


def calls(header: str = "call | table read units") -> dict[str, tuple[float, ...]]:
    """What the page says a call takes: read units, write units, objects put, requests to the index, keys used."""
    return {row[0]: tuple(float(cell) for cell in row[1:]) for row in table(header)}


#: Beginning of the table of calls with segments, whose fourth number is that of objects got.
WITH_SEGMENTS = "call with segments | table read units"


@pytest.mark.skipif(server.missing() is not None, reason=f"units are counted by DynamoDB itself: {server.missing()}")
def test_calls_take_what_the_page_says(bench: Bench) -> None:
    assert measured(bench, "same_hq") == calls()
    for operation, cost in measured(bench, "similar").items():
        assert all(one <= said for one, said in zip(cost, calls()[operation], strict=True)), operation


@pytest.mark.skipif(server.missing() is not None, reason=f"units are counted by DynamoDB itself: {server.missing()}")
def test_calls_with_segments_take_what_the_page_says(bench_of_segments: Bench) -> None:
    assert measured(bench_of_segments, "same_hq") == calls(WITH_SEGMENTS)


def month(pictures: int, nodes: int, instance: str, disk: int) -> tuple[float, float, float]:
    """Dollars for the domain, for storage and for calls, by the page's formula and prices."""
    price, stored, spent = spent_by(pictures, calls(), 0)
    domain = nodes * (730 * price[f"an hour of {instance}"] + disk * price["a GB of a domain's disk for a month"])
    return domain, stored, spent


def spent_by(
    pictures: int, taken: Mapping[str, tuple[float, ...]], per_million_asked: float
) -> tuple[Mapping[str, float], float, float]:
    """Prices, and dollars for storage and for calls, given what calls take.

    ``per_million_asked``: dollars for a million of what stands in the fourth place.
    """
    price = {row[0]: float(row[1]) for row in table("unit | price")}
    often = {"add": 1 / 10, "search": 1 / 2, "update": 1 / 100, "delete": 1 / 100, "purge": 1 / 100}
    seconds = {"add": 0.5, "search": 0.4}

    def runs(took: float) -> float:
        """A million runs of a function."""
        spent = took * 1e6 * price["a function's second at 1769 MB"]
        return price["a million function runs"] + spent + 1e6 * 2e-6 * price["a GB of logs"]

    spent = 0.0
    for operation, (reads, writes, puts, asked, keys) in taken.items():
        millions = pictures * often[operation] / 1e6
        spent += millions * (
            reads * price["a million table read units"]
            + writes * price["a million table write units"]
            + puts * price["a million S3 puts"]
            + asked * per_million_asked
            + keys * price["a million uses of the key"]
            + price["a million HTTP requests"]
            + runs(seconds.get(operation, 0.1))
            + (runs(0.1) if operation in ("add", "update", "delete") else 0)
        )
    stored = pictures * (
        11e-6 * price["a GB in the table for a month, with recovery"] + 200e-6 * price["a GB of originals for a month"]
    )
    return price, stored, spent


@pytest.mark.parametrize("row", table("pictures | domain"), ids=lambda row: row[0])
def test_months_cost_what_the_formula_says(row: list[str]) -> None:
    nodes, instance = row[1].split(" × ")
    domain, stored, spent = month(int(row[0].replace(",", "")), int(nodes), instance, int(row[2].split()[0]))
    assert [int(cell) for cell in row[3:]] == [
        round(domain),
        round(stored),
        round(spent),
        round(domain + stored + spent + FIXED),
    ]


def month_with_segments(pictures: int, metrics: str) -> tuple[float, float, float]:
    """Dollars for storage, for what is there although nobody calls, and for calls."""
    price = {row[0]: float(row[1]) for row in table("unit | price")}
    _, stored, spent = spent_by(pictures, calls(WITH_SEGMENTS), price["a million S3 gets"])
    stored += pictures * 1e-6 * price["a GB of originals for a month"]
    watched = {"none": 0, "few": 10, "all": 21}[metrics] * price[
        "an alarm for a month, for each metric that it looks at"
    ]
    watched += 20 * price["a custom metric for a month"] if metrics == "all" else 0
    watched += price["a dashboard for a month"] if metrics != "none" else 0
    runs = (
        730
        * 4
        * (
            price["a million function runs"] / 1e6
            + 0.1 * price["a function's second at 1769 MB"]
            + 2e-6 * price["a GB of logs"]
        )
    )
    return stored, price["the key for a month"] + watched + runs + polling(price) + stored, spent


#: Requests in a month to the queue of uploads while it is empty, as the page assumes: five at once, of 20 seconds each.
POLLS = 5 * 730 * 3600 / 20


def polling(price: Mapping[str, float]) -> float:
    """Dollars a month for looking into the queue of uploads."""
    return POLLS / 1e6 * price["a million SQS requests"]


@pytest.mark.parametrize("row", table("pictures with segments | metrics"), ids=lambda row: f"{row[0]} {row[1]}")
def test_months_without_a_domain_cost_what_the_formula_says(row: list[str]) -> None:
    stored, idle, spent = month_with_segments(int(row[0].replace(",", "")), row[1])
    assert [float(cell) for cell in row[2:]] == [round(one, 2) for one in (stored, idle, spent, idle + spent)]


def test_a_small_stack_costs_less_than_two_dollars_while_nobody_calls() -> None:
    assert month_with_segments(10_000, "none")[1] <= 2


def test_one_of_a_hundred_thousand_pictures_does_while_requests_to_sqs_are_free() -> None:
    """SQS takes a million requests a month from an account for nothing; the page says both sums."""
    price = {row[0]: float(row[1]) for row in table("unit | price")}
    idle = month_with_segments(100_000, "none")[1]
    assert POLLS < 1e6
    assert idle - polling(price) <= 2
    text = " ".join(documents.pages()["docs/cost.md"].split())
    assert f"an idle month of 100,000 pictures is {idle - polling(price):.2f}" in text


@pytest.mark.parametrize("page", ["README.md", "docs/aws.md"])
def test_other_pages_name_these_months(page: str) -> None:
    small, large, _ = (row[-1] for row in table("pictures | domain"))
    text = " ".join(documents.pages()[page].split())
    assert f"about {small} dollars a month for 10,000 pictures, {large} for a million" in text


def test_the_fixed_part_is_what_is_there_and_runs_although_nobody_calls() -> None:
    price = {row[0]: float(row[1]) for row in table("unit | price")}
    template = (ROOT / "template.yaml").read_text()
    asked_for = re.findall("Type: AWS::CloudWatch::Alarm\n    Condition: (?:SpendingIsWatched|CanaryRuns)", template)
    alarms = template.count("Type: AWS::CloudWatch::Alarm") - len(asked_for)
    fixed = (
        alarms * price["an alarm for a month, for each metric that it looks at"]
        + 20 * price["a custom metric for a month"]
    )
    run = price["a million function runs"] / 1e6 + 0.1 * price["a function's second at 1769 MB"]
    minutes = template.count("rate(1 minute)") * 730 * 60 * (run + 2e-6 * price["a GB of logs"])
    fixed += template.count("Type: AWS::CloudWatch::Dashboard") * price["a dashboard for a month"]
    fixed += len(re.findall(r"Type: SQS\s+Properties:\s+Queue:", template)) * polling(price)
    assert price["the key for a month"] + fixed + minutes == pytest.approx(FIXED, abs=0.005)
    assert f"and {FIXED:.2f} for the key" in documents.pages()["docs/cost.md"]


def test_the_alarm_on_spending_counts_by_the_pages_prices() -> None:
    """Its expression, with a million of each thing and an hour of a whole processor's work."""
    price = {row[0]: float(row[1]) for row in table("unit | price")}
    (expression,) = re.findall(r'Expression: !Sub "(.*)"', (ROOT / "template.yaml").read_text())
    factors = [float(number) for number in re.findall(r"\* (0\.[0-9]+)", expression)]
    a_million = [
        price["a million HTTP requests"] + price["a million function runs"],
        price["a million table read units"],
        price["a million table write units"],
    ]
    assert factors[:3] == pytest.approx([dollars / 1e6 for dollars in a_million])
    assert factors[3] * 1000 * 1769 == pytest.approx(price["a function's second at 1769 MB"], rel=0.01)
    assert factors[4] * 1000 == pytest.approx(price["a function's second at 1769 MB"], rel=0.01)
