"""What /status says of an index that is meant for so many pictures."""

from __future__ import annotations

import pytest

from lookalike.settings import Settings
from lookalike.wire.status import details
from tests.contract.rows import library, row
from tests.support.fakes import memory_ports


@pytest.mark.parametrize(("capacity", "is_advised"), [(3, False), (2, True)])
def test_an_owner_of_more_pictures_than_segments_are_meant_for_is_advised(
    monkeypatch: pytest.MonkeyPatch, capacity: int, is_advised: bool
) -> None:
    monkeypatch.setattr("lookalike.settings.MAX_IN_SEGMENTS", capacity)
    ports = memory_ports(settings=Settings(table="table", vector_store="segments"))
    ports.index.write([row("uid", str(number)) for number in range(3)])
    said = details(ports, [library("tenant", "shop", "uid")])
    assert (said["searchable"], said["index_capacity"]) == (3, capacity)
    assert ("OpenSearch" in said.get("advice", "")) == is_advised


def test_an_index_of_its_operators_size_is_not_spoken_of() -> None:
    ports = memory_ports(settings=Settings(table="table"))
    assert not {"index_capacity", "advice"} & details(ports, [library("tenant", "shop", "uid")]).keys()
