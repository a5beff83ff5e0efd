"""The vendor's own Python SDK, unmodified but for its address, through a picture's whole life."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from aip import AipImageSearch

from tests.support import photographs
from tests.support.live import Keys, LiveServer, cli

OPERATIONS = {"sameHq": "same_hq", "similar": "similar", "product": "product"}


def client(server: LiveServer, keys: Keys) -> Any:
    """An SDK client that calls ``server``: every address it holds gets another host, nothing else changes."""
    made = AipImageSearch(keys.app_id, keys.access_key, keys.secret_key)
    for kind in (AipImageSearch, *AipImageSearch.__mro__[1:-1]):
        for name, value in vars(kind).items():
            if isinstance(value, str) and value.startswith("https://aip.baidubce.com"):
                setattr(made, name, value.replace("https://aip.baidubce.com", server.url))
    return made


@pytest.fixture
def sdk(server: LiveServer, request: pytest.FixtureRequest) -> Any:
    """A client of an application of its own, hence with empty libraries."""
    return client(server, server.keys(request.node.name))


def brief(name: str) -> str:
    return json.dumps({"name": name, "标题": "图"}, ensure_ascii=False)


@pytest.mark.parametrize("library", OPERATIONS)
def test_a_picture_lives_its_whole_life(sdk: Any, library: str) -> None:
    add, search, update, by_sign = (
        getattr(sdk, f"{library}{operation}") for operation in ("Add", "Search", "UpdateContSign", "DeleteBySign")
    )
    tags = {"class_id1": 1, "class_id2": 2} if library == "product" else {"tags": "100,11"}
    files = {name: photographs.jpeg(photographs.photograph(name)) for name in photographs.NAMES[:8]}

    signs = {name: add(file, brief(name), tags)["cont_sign"] for name, file in files.items()}
    assert add(files["coffee.png"], brief("again"))["error_code"] == 216681

    found = search(files["coffee.png"])
    assert found["result"][0] == {"score": 1, "brief": brief("coffee.png"), "cont_sign": signs["coffee.png"]}
    assert found["result_num"] == len(found["result"])
    assert found["has_more"] is False

    copy = photographs.jpeg(photographs.cropped(photographs.photograph("coffee.png"), 0.9), quality=40)
    best = search(copy)["result"][0]
    assert best["cont_sign"] == signs["coffee.png"]
    assert best["score"] < 1

    assert "error_code" not in update(signs["coffee.png"], {"brief": "changed", **tags})
    assert search(files["coffee.png"])["result"][0]["brief"] == "changed"

    assert "error_code" not in by_sign(f"{signs['coffee.png']};{signs['chelsea.png']};1,2")
    assert signs["coffee.png"] not in [one["cont_sign"] for one in search(files["coffee.png"])["result"]]
    assert by_sign(signs["coffee.png"])["error_code"] == 216680

    assert add(files["coffee.png"], brief("back"))["cont_sign"] == signs["coffee.png"]
    assert search(files["coffee.png"])["result"][0]["brief"] == brief("back")
    delete_by_image = getattr(sdk, f"{library}DeleteByImage")
    assert "error_code" not in delete_by_image(files["coffee.png"])


def test_a_program_that_joins_answers_by_the_signs_it_has_stored(server: LiveServer, tmp_path: Path) -> None:
    keys = server.keys("moved")
    moved, names = client(server, keys), photographs.NAMES[:3]
    stored = {f"{number + 5},4294967295": name for number, name in enumerate(names)}
    files = {name: photographs.jpeg(photographs.photograph(name)) for name in names}
    moved.sameHqAdd(files[names[0]], "it makes the library")
    for name, file in files.items():
        (tmp_path / f"{name}.jpg").write_bytes(file)
    rows = [f'{name}.jpg,"{sign}",{name}\n' for sign, name in stored.items()]
    (tmp_path / "table.csv").write_text("file,cont_sign,brief\n" + "".join(rows))
    key = f"{keys.access_key}:{keys.secret_key}"
    options = ("--library", "same_hq", "--url", server.url, "--key", key, "--on-duplicate", "update")
    cli("import", str(tmp_path / "table.csv"), "--from", "baidu", *options)
    for sign, name in stored.items():
        copy = photographs.jpeg(photographs.cropped(photographs.photograph(name), 0.9), quality=40)
        assert stored[moved.sameHqSearch(copy)["result"][0]["cont_sign"]] == name
        assert moved.sameHqAdd(files[name], name)["error_code"] == 216681
        assert "error_code" not in moved.sameHqUpdateContSign(sign, {"brief": "changed"})
        assert moved.sameHqSearch(files[name])["result"][0] == {"score": 1, "brief": "changed", "cont_sign": sign}
        assert "error_code" not in moved.sameHqDeleteBySign(sign)
        assert moved.sameHqAdd(files[name], name)["cont_sign"] == sign


def test_pages_through_a_library(sdk: Any) -> None:
    for name in photographs.NAMES:
        sdk.similarAdd(photographs.jpeg(photographs.photograph(name, 256)), brief(name))
    query = photographs.jpeg(photographs.photograph("coffee.png", 300))
    whole = sdk.similarSearch(query)["result"]
    pages, start, more = [], 0, True
    while more:
        page = sdk.similarSearch(query, {"pn": start, "rn": 4})
        pages += page["result"]
        start, more = start + 4, page["has_more"]
    assert pages == whole
    assert len(whole) == len(photographs.NAMES)


def test_same_hq_answers_nothing_for_a_picture_it_does_not_hold(sdk: Any) -> None:
    for name in photographs.NAMES[1:]:
        sdk.sameHqAdd(photographs.jpeg(photographs.photograph(name)), brief(name))
    assert sdk.sameHqSearch(photographs.jpeg(photographs.photograph(photographs.NAMES[0])))["result"] == []


def test_tags_narrow_a_search(sdk: Any) -> None:
    for name, tags in (("coffee.png", "1,2"), ("chelsea.png", "2,3"), ("rocket.jpg", "")):
        sdk.similarAdd(photographs.jpeg(photographs.photograph(name)), name, {"tags": tags})

    def names(**options: object) -> set[str]:
        found = sdk.similarSearch(photographs.jpeg(photographs.photograph("china.jpg")), options)
        return {one["brief"] for one in found["result"]}

    assert names() == {"coffee.png", "chelsea.png", "rocket.jpg"}
    assert names(tags="2") == {"coffee.png", "chelsea.png"}
    assert names(tags="1,2") == {"coffee.png"}
    assert names(tags="1,3", tag_logic="1") == {"coffee.png", "chelsea.png"}
    assert names(tags="9") == set()


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # the SDK signs with it
def test_a_wrong_secret_is_told_as_the_vendor_tells_it(server: LiveServer) -> None:
    keys = server.keys("wrong-secret")
    wrong = client(server, Keys(keys.app_id, keys.access_key, "x" * 32, keys.tenant))
    # With a wrong secret the SDK signs its requests instead, with the same wrong secret.
    assert wrong.similarSearch(photographs.jpeg(photographs.photograph("coffee.png")))["error_code"] == 14


def test_a_revoked_application_is_out_at_once(server: LiveServer) -> None:
    keys = server.keys("revoked")
    sdk = client(server, keys)
    picture = photographs.jpeg(photographs.photograph("coffee.png"))
    assert sdk.similarSearch(picture)["result"] == []
    cli("keys", "revoke", "--data", str(server.data), "--name", "revoked")
    token = sdk._authObj["access_token"]
    answer = server.call(token, "/rest/2.0/image-classify/v1/realtime_search/similar/search", image="x")
    assert answer["error_code"] == 110


def test_one_tenant_never_sees_another(server: LiveServer) -> None:
    mine, theirs = client(server, server.keys("mine")), client(server, server.keys("theirs"))
    picture = photographs.jpeg(photographs.photograph("coffee.png"))
    sign = mine.sameHqAdd(picture, "secret")["cont_sign"]
    assert theirs.sameHqSearch(picture)["result"] == []
    assert theirs.sameHqDeleteBySign(sign)["error_code"] == 216680
    assert theirs.sameHqUpdateContSign(sign, {"brief": "x"})["error_code"] == 216680
    assert theirs.sameHqAdd(picture, "theirs")["cont_sign"] == sign
    assert mine.sameHqSearch(picture)["result"][0]["brief"] == "secret"


def test_applications_of_one_tenant_share_their_libraries(server: LiveServer) -> None:
    keys = server.keys("first")
    first, second = client(server, keys), client(server, server.keys("second", keys.tenant))
    picture = photographs.jpeg(photographs.photograph("coffee.png"))
    first.productAdd(picture, "shared")
    assert second.productSearch(picture)["result"][0]["brief"] == "shared"


def test_the_sdk_by_base64_options_and_by_url(sdk: Any) -> None:
    picture = photographs.jpeg(photographs.photograph("coffee.png"))
    # A caller's options may replace the image; the SDK merges them last.
    sign = sdk.similarAdd(b"ignored", "b", {"image": base64.b64encode(picture).decode()})["cont_sign"]
    assert sdk.similarSearch(picture)["result"][0]["cont_sign"] == sign
    assert sdk.similarAddUrl("http://127.0.0.1:1/x.jpg", "b")["error_code"] == 282111
    assert sdk.similarSearchUrl("ftp://example.com/x.jpg")["error_code"] == 282111
