"""The stack, built and deployed into an account on this machine, with a real OpenSearch beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aip import AipImageSearch

from tests import photographs
from tests.live import Keys
from tests.servers import account
from tests.servers.opensearch import server as opensearch


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[account.Stack]:
    if (reason := account.missing()) is not None:
        pytest.skip(f"no deployed stack: {reason}")
    url = opensearch.shared()
    with account.running(tmp_path_factory.mktemp("account")) as here:
        yield account.Stack(here, url, PurgeAfterDays="0", PurgeSchedule="rate(1 minute)")


def client(stack: account.Stack, keys: Keys) -> Any:
    """The vendor's SDK; nothing but its addresses is changed."""
    made = AipImageSearch(keys.app_id, keys.access_key, keys.secret_key)
    for kind in (AipImageSearch, *AipImageSearch.__mro__[1:-1]):
        for name, value in vars(kind).items():
            if isinstance(value, str) and value.startswith("https://aip.baidubce.com"):
                setattr(made, name, value.replace("https://aip.baidubce.com", stack.url))
    return made


def soon(found: Callable[[], Any], seconds: float) -> Any:
    """What ``found`` answers once it answers something."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.25)
    return answer


def test_a_picture_lives_its_whole_life(stack: account.Stack) -> None:
    sdk = client(stack, stack.keys("shop"))
    coffee, cat = (photographs.jpeg(photographs.photograph(name)) for name in ("coffee.png", "chelsea.png"))
    sign = sdk.sameHqAdd(coffee, '{"name": "coffee"}')["cont_sign"]
    assert sdk.sameHqAdd(coffee, "again")["error_code"] == 216681
    sdk.sameHqAdd(cat, '{"name": "cat"}')
    assert sdk.sameHqSearch(coffee)["result"][0] == {"score": 1, "brief": '{"name": "coffee"}', "cont_sign": sign}
    copy = photographs.jpeg(photographs.cropped(photographs.photograph("coffee.png"), 0.9), quality=40)
    assert sdk.sameHqSearch(copy)["result"][0]["cont_sign"] == sign
    assert "error_code" not in sdk.sameHqUpdateContSign(sign, {"brief": "changed"})
    assert sdk.sameHqSearch(coffee)["result"][0]["brief"] == "changed"
    assert "error_code" not in sdk.sameHqDeleteBySign(sign)
    assert sign not in [one["cont_sign"] for one in sdk.sameHqSearch(coffee)["result"]]
