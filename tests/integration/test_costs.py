"""What the README says one call costs on AWS is what it costs: counted by DynamoDB itself, and by S3's calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from lookalike import bootstrap
from lookalike.adapters.dynamodb import DynamoCatalog, DynamoMaps
from lookalike.adapters.s3 import CONFIG, S3Store
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.location import find_model
from lookalike.embedding.verifier import LocalMapVerifier
from lookalike.model import Candidate, Picture, Query
from lookalike.ports import Ports
from lookalike.service.purge import purge
from lookalike.settings import Settings
from tests import photographs
from tests.baidu import Caller, picture
from tests.conftest import ALICE
from tests.emulated import aws
from tests.fakes import MemoryIndex, SetClock, memory_ports
from tests.servers.dynamodb import server
from tests.servers.dynamodb.units import counted

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


class CountedIndex(MemoryIndex):
    """An index that counts its calls; each is one request to OpenSearch."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        self.calls += 1
        super().write(pictures, wait=wait)

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        self.calls += 1
        super().remove(pictures, wait=wait)

    def search(self, query: Query) -> Sequence[Candidate]:
        self.calls += 1
        return super().search(query)


@dataclass(frozen=True, slots=True)
class Bench:
    """Ports over stores that count."""

    ports: Ports
    index: CountedIndex
    s3: Counter[str]

    def cost(self, call: Callable[[], object]) -> tuple[float, float, int, int]:
        """Read units, write units, objects put, requests to the index."""
        self.s3.clear()
        self.index.calls = 0
        with counted(server.client()) as units:
            call()
        return units.read, units.written, self.s3["PutObject"], self.index.calls


@pytest.fixture
def bench() -> Iterator[Bench]:
    table, index, calls = server.new_table(), CountedIndex(), Counter[str]()
    embedder = OnnxEmbedder(find_model(None))
    with aws() as make:
        client = make("s3", config=CONFIG)
        client.create_bucket(Bucket="originals")
        client.meta.events.register("after-call.s3.*", lambda model, **_: calls.update([model.name]))
        ports = memory_ports(
            ALICE,
            settings=Settings(purge_after_days=0),
            catalog=DynamoCatalog(table),
            maps=DynamoMaps(table),
            originals=S3Store(client, "originals"),
            index=index,
            embedder=embedder,
            verifier=LocalMapVerifier(embedder.proof),
        )
        with bootstrap.serving(ports):
            yield Bench(ports, index, calls)


def measured(bench: Bench, library: str) -> dict[str, tuple[float, ...]]:
    """The cost of each operation on a library that holds some pictures already."""
    caller, clock = Caller(ALICE), bench.ports.clock
    assert isinstance(clock, SetClock)
    for seed in range(60):
        caller.add(library, picture(seed))
    file = photographs.jpeg(photographs.photograph("coffee.png", 512))
    costs: dict[str, tuple[float, ...]] = {}
    costs["add"] = bench.cost(lambda: caller.add(library, file, brief="x" * 256))
    (sign,) = {one["cont_sign"] for one in caller.call(library, "search", image=file)["result"][:1]}
    copy = photographs.jpeg(photographs.photograph("coffee.png", 400), quality=60)
    costs["search"] = bench.cost(lambda: caller.call(library, "search", image=copy))
    costs["update"] = bench.cost(lambda: caller.call(library, "update", cont_sign=sign, brief="y" * 256))
    costs["delete"] = bench.cost(lambda: caller.call(library, "delete", cont_sign=sign))
    clock.now += 10_000
    costs["purge"] = bench.cost(lambda: purge(bench.ports, lambda: True))
    return costs


def table(header: str) -> list[list[str]]:
    """The rows of the README's table whose first line starts like this."""
    lines = README[README.index(f"| {header}") :].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def calls() -> dict[str, tuple[float, ...]]:
    """What the README says a call takes: read units, write units, objects put, requests to the index."""
    return {row[0]: tuple(float(cell) for cell in row[1:]) for row in table("call | table read units")}


@pytest.mark.skipif(server.missing() is not None, reason=f"units are counted by DynamoDB itself: {server.missing()}")
def test_calls_take_what_the_readme_says(bench: Bench) -> None:
    assert measured(bench, "same_hq") == calls()
    for operation, cost in measured(bench, "similar").items():
        assert all(one <= said for one, said in zip(cost, calls()[operation], strict=True)), operation


def month(pictures: int, nodes: int, instance: str, disk: int) -> tuple[float, float, float]:
    """Dollars for the domain, for storage and for calls, by the README's formula and prices."""
    price = {row[0]: float(row[1]) for row in table("unit | price")}
    often = {"add": 1 / 10, "search": 1 / 2, "update": 1 / 100, "delete": 1 / 100, "purge": 1 / 100}
    seconds = {"add": 0.2, "search": 0.4}
    spent = 0.0
    for operation, (reads, writes, puts, _) in calls().items():
        millions = pictures * often[operation] / 1e6
        spent += millions * (
            reads * price["a million table read units"]
            + writes * price["a million table write units"]
            + puts * price["a million S3 puts"]
            + price["a million HTTP requests"]
            + price["a million function runs"]
            + seconds.get(operation, 0.1) * 1e6 * price["a function's second at 1769 MB"]
        )
    stored = pictures * (
        11e-6 * price["a GB in the table for a month, with recovery"] + 200e-6 * price["a GB of originals for a month"]
    )
    domain = nodes * (730 * price[f"an hour of {instance}"] + disk * price["a GB of a domain's disk for a month"])
    return domain, stored, spent


@pytest.mark.parametrize("row", table("pictures | domain"), ids=lambda row: row[0])
def test_months_cost_what_the_formula_says(row: list[str]) -> None:
    nodes, instance = row[1].split(" × ")
    domain, stored, spent = month(int(row[0].replace(",", "")), int(nodes), instance, int(row[2].split()[0]))
    assert [int(cell) for cell in row[3:]] == [
        round(domain),
        round(stored),
        round(spent),
        round(domain + stored + spent + 2.5),
    ]


def test_the_fixed_part_is_a_key_and_the_alarms() -> None:
    alarms = (ROOT / "template.yaml").read_text().count("Type: AWS::CloudWatch::Alarm")
    assert 1 + alarms * 0.1 == pytest.approx(2.5)
