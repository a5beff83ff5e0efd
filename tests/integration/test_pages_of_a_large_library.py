"""A library of 100,000 pictures is paged as fast at its end as at its start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lookalike.domain.library import Library
from lookalike.ports import Ports
from lookalike.service.groups import list_pictures
from tests.support.large_library import PAGE, large_library, page_milliseconds

PICTURES = 100_000

#: How much slower the slowest part may be: an offset that is counted off takes a hundred times as long at the end.
MAX_RATIO = 4


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ports, Library]]:
    with large_library(tmp_path_factory.mktemp("large"), PICTURES) as made:
        yield made


def test_a_page_at_the_end_takes_no_longer_than_one_at_the_start(large: tuple[Ports, Library]) -> None:
    places = (PICTURES // 4, PICTURES // 2, PICTURES - PAGE - 1)
    times = [page_milliseconds(*large, after) for after in (None, *(f"{place:08d}" for place in places))]
    assert max(times) < MAX_RATIO * min(times), times


def test_a_walk_meets_every_picture_once(large: tuple[Ports, Library]) -> None:
    ports, library = large
    seen: list[str] = []
    after = None
    while not seen or after is not None:
        page = list_pictures(ports, library, after, 1000)
        seen += [picture.key.id for picture in page.pictures]
        after = page.after
    assert seen == [f"{number:08d}" for number in range(PICTURES)]
