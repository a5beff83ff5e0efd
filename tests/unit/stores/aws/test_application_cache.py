"""The cache of applications: freshness, absence, and its bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lookalike.domain.application import Application
from lookalike.stores.aws.application_cache import ABSENCE_CACHE_MS, CACHE_MS, MAX_ABSENT, ApplicationCache
from lookalike.stores.aws.dynamodb_keys import ItemKey, application_key
from tests.support.fakes import SetClock

SHOP = Application("access", "secret", "10000001", "tenant", "shop")
KEY = application_key(SHOP.access_key)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1_767_323_045_000)


@pytest.fixture
def cache(clock: SetClock) -> ApplicationCache:
    return ApplicationCache(clock)


class Reads:
    """Counts reads of an application, or of its absence."""

    def __init__(self, found: Application | None) -> None:
        self.found = found
        self.count = 0

    def __call__(self) -> Application | None:
        self.count += 1
        return self.found


@pytest.mark.parametrize(("found", "lifetime"), [(SHOP, CACHE_MS), (None, ABSENCE_CACHE_MS)])
def test_what_was_read_is_cached_for_its_lifetime(
    cache: ApplicationCache, clock: SetClock, found: Application | None, lifetime: int
) -> None:
    read = Reads(found)
    assert cache.get(KEY, read) is found
    clock.now += lifetime - 1
    assert cache.get(KEY, read) is found
    assert read.count == 1
    clock.now += 1
    assert cache.get(KEY, read) is found
    assert read.count == 2


@pytest.mark.parametrize(
    "forget", [lambda cache, _: cache.clear(), lambda _, clock: setattr(clock, "now", clock.now - 1)]
)
@pytest.mark.parametrize("found", [SHOP, None])
def test_a_cleared_cache_and_a_clock_set_back_read_again(
    cache: ApplicationCache,
    clock: SetClock,
    found: Application | None,
    forget: Callable[[ApplicationCache, SetClock], object],
) -> None:
    read = Reads(found)
    cache.get(KEY, read)
    forget(cache, clock)
    cache.get(KEY, read)
    assert read.count == 2


def test_the_oldest_absence_is_dropped_first(cache: ApplicationCache) -> None:
    keys = [application_key(f"stranger {number}") for number in range(MAX_ABSENT + 1)]
    read = Reads(None)
    for key in keys:
        cache.get(key, read)
    cache.get(keys[-1], read)
    assert read.count == len(keys)
    cache.get(keys[0], read)
    assert read.count == len(keys) + 1


def test_a_key_that_no_item_may_have_takes_no_memory(cache: ApplicationCache) -> None:
    read = Reads(None)
    for _ in range(2):
        cache.get(ItemKey("x" * 100_000, "s"), read)
    assert read.count == 2


def test_an_application_that_appears_is_no_longer_absent(cache: ApplicationCache, clock: SetClock) -> None:
    cache.get(KEY, Reads(None))
    clock.now += ABSENCE_CACHE_MS
    assert cache.get(KEY, Reads(SHOP)) is SHOP
    assert cache.get(KEY, Reads(None)) is SHOP
