"""What Qiniu clients ask for and get, call by call."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from awslambdaric.lambda_runtime_marshaller import to_json
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.application import Application, Policy
from lookalike.domain.library import Kind
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.server import api_gateway
from lookalike.settings import Settings
from tests.conftest import ALICE, BOB
from tests.contract.rows import described, row
from tests.support.baidu import Caller, picture
from tests.support.examples import examples
from tests.support.fakes import MemoryWeb, memory_ports
from tests.support.qiniu import GroupCaller, one, uri

#: Pictures that the vendor takes.
PICTURES = [picture(number, size=(40, 32)) for number in range(6)]

pytestmark = pytest.mark.usefixtures("memory")


@pytest.fixture
def shop() -> GroupCaller:
    return GroupCaller(ALICE)


# -- Groups --------------------------------------------------------------------------------------------------------------


def test_a_groups_life(shop: GroupCaller) -> None:
    assert shop.get().body == {"code": 0, "message": "", "result": []}
    answer = shop.post("/shoes/new", {"data": [one(PICTURES[0], id="1", label="shoes"), one(PICTURES[1], id="2")]})
    assert (answer.status, answer.body) == (200, {"images": ["1", "2"], "errors": [None, None]})
    assert shop.get().body == {"code": 0, "message": "", "result": ["shoes"]}
    assert shop.get("/shoes/info").body == {"count": 2}
    assert shop.post("/shoes/image", {"id": "1"}).body == {"label": "shoes", "desc": ""}
    assert shop.post("/shoes/delete", {"images": ["1", "unknown", "1"]}).body == {}
    assert shop.get("/shoes/info").body == {"count": 1}
    assert shop.post("/shoes/remove").body == {}
    assert shop.get().body["result"] == []
    assert shop.get("/shoes/info").error == (400, 400, "group shoes not exists")
    assert shop.new("shoes") == []
    assert shop.listed("shoes") == []


def test_an_empty_group(shop: GroupCaller) -> None:
    assert shop.post("/g/new", {"data": []}).body == {"images": [], "errors": []}
    assert shop.post("/g/add", {"data": []}).body == {"images": [], "errors": []}
    assert shop.get("/g").body == {"code": 0, "message": "", "marker": "", "result": []}
    assert shop.search(["g"], PICTURES[0]).body == {"code": 0, "message": "", "result": []}
    assert shop.get("/g/info").body == {"count": 0}


def test_groups_are_listed_by_name_and_case_counts(shop: GroupCaller) -> None:
    for name in ("b", "B", "a.b", "0", "-_"):
        shop.new(name)
    assert shop.get().body["result"] == sorted(["b", "B", "a.b", "0", "-_"])
    shop.add("b", one(PICTURES[0], id="small"))
    assert shop.listed("B") == []


def test_removing_what_is_not_there_does_not_matter(shop: GroupCaller) -> None:
    assert shop.post("/g/remove").body == {}
    assert shop.post("/%20/remove").body == {}
    assert shop.post("/g/remove", {"anything": 1}).body == {}


# -- Pictures ------------------------------------------------------------------------------------------------------------


def test_an_id_is_made_where_none_is_given(shop: GroupCaller) -> None:
    ids = shop.new("g", one(PICTURES[0]), one(PICTURES[1], id=""), one(PICTURES[2], id=None), {"uri": uri(PICTURES[3])})
    assert len(set(ids)) == 4
    assert sorted(shop.listed("g")) == sorted(ids)


def test_label_and_desc_come_back_wherever_a_picture_is_shown(shop: GroupCaller) -> None:
    desc = {"a": [1, 2.5, None, True, "书"], "b": {"c": ""}}
    shop.new("g", one(PICTURES[0], id="1", label="label 书", desc=desc))
    said = {"label": "label 书", "desc": desc}
    assert shop.post("/g/image", {"id": "1"}).body == said
    assert shop.get("/g").body["result"] == [{"id": "1", "value": said}]
    assert shop.search(["g"], PICTURES[0]).body["result"] == [{"id": "1", **said, "score": 1.0, "group": "g"}]
    assert shop.post("/g/search", {"data": {"uri": uri(PICTURES[0])}}).body["result"] == [
        {"id": "1", **said, "score": 1.0}
    ]


json_values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner | st.none(), max_size=3) | st.dictionaries(st.text(), inner | st.none(), max_size=3),
    max_leaves=12,
)


@settings(max_examples=examples(80))
@given(json_values, json_values.filter(lambda value: len(json.dumps(value)) < 500))
def test_label_and_desc_of_any_type_come_back_as_they_were(desc: Any, label: Any) -> None:
    with serving(memory_ports(ALICE)):
        shop = GroupCaller(ALICE)
        shop.new("g", one(PICTURES[0], id="1", desc=desc, label=label))
        shown = [
            shop.post("/g/image", {"id": "1"}).body,
            shop.get("/g").body["result"][0]["value"],
            shop.search(["g"], PICTURES[0]).body["result"][0],
        ]
        assert [(type(one["desc"]), one["desc"]) for one in shown] == [(type(desc), desc)] * 3
        assert [(type(one["label"]), one["label"]) for one in shown] == [(type(label), label)] * 3


@pytest.mark.parametrize(
    "label", ["5", "9.90", "1e400", "true", "null", '["a"]', '{"a":1}', r'"\ud800"', r'"\u0000"', r'"\u00005"', '"书"']
)
def test_a_label_comes_back_to_the_letter(shop: GroupCaller, label: str) -> None:
    body = f'{{"data":[{{"uri":"{uri(PICTURES[0])}","attribute":{{"id":"1","label":{label}}}}}]}}'
    assert shop.post("/g/new", body.encode()).body["errors"] == [None]
    answer = shop.raw("POST", "/v1/image/group/g/image", {"id": "1"})["body"]
    assert answer == f'{{"label":{label},"desc":""}}'


@pytest.mark.parametrize("label", ["\0", "\0{", "\0NaN", '\0"', '\0","score":9,"a":"'])
def test_a_label_that_came_another_way_is_text(shop: GroupCaller, memory: Ports, label: str) -> None:
    shop.new("g", one(PICTURES[0], id="1"))
    (library,) = memory.catalog.libraries("tenant-alice")
    (picture,) = memory.catalog.pictures(library.uid, None, 1)
    memory.catalog.put(described(picture.but(revision=picture.revision + 1), label=label), picture.revision)
    assert shop.post("/g/image", {"id": "1"}).body == {"label": label, "desc": ""}


@pytest.mark.parametrize("longest", ["书" * 170 + "ab", ["书" * 169 + "a"], "\0" * 85])
def test_the_longest_label(shop: GroupCaller, longest: Any) -> None:
    longer = longest + "c" * 3 if isinstance(longest, str) else [longest[0] + "c"]
    answer = shop.post(
        "/g/new", {"data": [one(PICTURES[0], id="1", label=longest), one(PICTURES[0], id="2", label=longer)]}
    )
    assert answer.body == {"images": ["1", ""], "errors": [None, {"code": 406, "message": "label too long"}]}
    assert shop.post("/g/image", {"id": "1"}).body["label"] == longest


@pytest.mark.parametrize("number", ["1.10", "1e400", "-0", "123456789012345678901234567890", "0.1000000000000000055"])
def test_numbers_in_a_desc_keep_their_digits(shop: GroupCaller, memory: Ports, number: str) -> None:
    body = f'{{"data":[{{"uri":"{uri(PICTURES[0])}","attribute":{{"id":"1","desc":[{number}]}}}}]}}'
    assert shop.post("/g/new", body.encode()).body["errors"] == [None]
    library = memory.catalog.libraries("tenant-alice")[0]
    assert memory.catalog.pictures(library.uid, None, 1)[0].metadata.desc == f"[{number}]"


@pytest.mark.parametrize("desc", [None, "", {}, [], 0, False])
def test_a_desc_of_nothing_much(shop: GroupCaller, desc: Any) -> None:
    shop.new("g", one(PICTURES[0], id="1", desc=desc))
    assert shop.post("/g/image", {"id": "1"}).body["desc"] == desc


def test_the_longest_desc(shop: GroupCaller) -> None:
    longest = "书" * 1364 + "ab"  # with its quotes, 4096 bytes
    elements = [one(PICTURES[0], id="1", desc=longest), one(PICTURES[0], id="2", desc=longest + "c")]
    answer = shop.post("/g/new", {"data": elements})
    assert answer.body == {"images": ["1", ""], "errors": [None, {"code": 406, "message": "desc too long"}]}
    assert shop.post("/g/image", {"id": "1"}).body["desc"] == longest


def test_a_picture_by_its_address(shop: GroupCaller, web: MemoryWeb) -> None:
    web.answers["http://example.com/a.jpg"] = PICTURES[0]
    assert shop.new("g", one("http://example.com/a.jpg", id="1")) == ["1"]
    body = {"data": {"uri": "http://example.com/a.jpg"}, "params": {"groups": ["g"]}}
    assert shop.call("POST", "/v1/image/groups/search", body).body["result"][0]["score"] == 1.0


@pytest.mark.parametrize(
    "head",
    [
        "data:application/octet-stream;base64,",
        "data:image/png;base64,",
        "DATA:;BASE64,",
        "data:image/jpeg;charset=utf-8;base64,",
    ],
)
def test_any_head_of_a_data_uri(shop: GroupCaller, head: str) -> None:
    assert shop.new("g", {"uri": uri(PICTURES[0], head)}) != [""]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(30, 30), (4999, 30), (30, 4999)])
def test_pictures_of_every_kind_and_size(shop: GroupCaller, kind: str, size: tuple[int, int]) -> None:
    shop.new("g", one(picture(1, kind, size), id="1"))
    assert shop.found(["g"], picture(1, kind, size)) == ["1"]


def test_alpha_is_laid_on_white(shop: GroupCaller) -> None:
    files = []
    for colour in ((255, 255, 255, 255), (200, 10, 10, 0), (10, 200, 10, 0)):
        file = io.BytesIO()
        Image.new("RGBA", (32, 32), colour).save(file, "PNG")
        files.append(file.getvalue())
    shop.new("g", one(files[0], id="1"))
    assert 0.9 < shop.search(["g"], files[1]).body["result"][0]["score"] < 1.0  # which is another on a dark ground
    shop.add("g", one(files[1], id="2"))
    assert shop.search(["g"], files[2]).body["result"][0]["score"] == 1.0


def test_a_picture_may_have_several_ids(shop: GroupCaller) -> None:
    shop.new("g", one(PICTURES[0], id="1"), one(PICTURES[0], id="2"))
    assert shop.found(["g"], PICTURES[0]) == ["1", "2"]
    shop.post("/g/delete", {"images": ["1"]})
    assert shop.found(["g"], PICTURES[0]) == ["2"]


def test_an_id_may_be_used_again_once_its_picture_is_deleted(shop: GroupCaller) -> None:
    shop.new("g", one(PICTURES[0], id="1", label="old"))
    shop.post("/g/delete", {"images": ["1"]})
    shop.add("g", one(PICTURES[1], id="1", label="new"))
    assert shop.post("/g/image", {"id": "1"}).body["label"] == "new"


def test_a_list_goes_on_where_its_marker_says(shop: GroupCaller) -> None:
    ids = [f"{number}" for number in range(7)]
    shop.new("g", *(one(PICTURES[0], id=name) for name in ids))
    for limit in (1, 2, 3, 7, 8, 1000, None):
        assert sorted(shop.listed("g", limit)) == ids
    first = shop.get("/g?limit=3").body
    assert len(first["result"]) == 3
    assert first["marker"].replace("-", "").replace("_", "").isalnum()
    assert shop.get("/g?limit=7").body["marker"] == ""
    assert shop.get(f"/g?limit=10&marker={first['marker']}") == shop.get(f"/g?marker={first['marker']}&limit=10")


# -- Search --------------------------------------------------------------------------------------------------------------


def test_how_many_are_found(shop: GroupCaller) -> None:
    shop.new("g", *(one(PICTURES[number], id=f"{number}") for number in range(5)))
    for limit, count in ((None, 1), (0, 1), (1, 1), (3, 3), (10_000, 5), (-1, 5), (-7, 5)):
        params = {} if limit is None else {"limit": limit}
        assert len(shop.search(["g"], PICTURES[2], **params).body["result"]) == count, limit
        answer = shop.post("/g/search", {"data": {"uri": uri(PICTURES[2])}, "params": params})
        assert len(answer.body["result"]) == count
    scores = [match["score"] for match in shop.search(["g"], PICTURES[2], limit=-1).body["result"]]
    assert scores == sorted(set(scores), reverse=True)
    assert scores[0] == 1
    assert scores[-1] > 0


def test_all_that_are_identical_reach_the_threshold_of_one(shop: GroupCaller) -> None:
    shop.new("g", *(one(PICTURES[0], id=f"{number}") for number in range(5)), one(PICTURES[1], id="other"))
    found = shop.search(["g"], PICTURES[0], limit=-1, threshold=1).body["result"]
    assert sorted(one["id"] for one in found) == ["0", "1", "2", "3", "4"]
    scores = [one["score"] for one in found]
    assert scores[0] == 1
    assert sorted(set(scores), reverse=True) == scores


def test_a_threshold(shop: GroupCaller) -> None:
    shop.new("g", *(one(PICTURES[number], id=f"{number}") for number in range(5)))
    all_of_them = shop.search(["g"], PICTURES[2], limit=-1).body["result"]
    threshold = all_of_them[2]["score"]
    assert shop.search(["g"], PICTURES[2], limit=-1, threshold=threshold).body["result"] == all_of_them[:3]
    assert shop.search(["g"], PICTURES[2], limit=-1, threshold=0).body["result"] == all_of_them
    assert shop.found(["g"], PICTURES[2], threshold=1) == ["2"]
    with serving(memory_ports(ALICE, settings=Settings(group_threshold=0.99))):
        shop.new("g", *(one(PICTURES[number], id=f"{number}") for number in range(5)))
        assert shop.found(["g"], PICTURES[2], threshold=0.1) == ["2"]
        assert shop.found(["g"], PICTURES[2]) == ["2"]


def test_two_groups_are_one_list(shop: GroupCaller) -> None:
    shop.new("a", *(one(PICTURES[number], id=f"{number}") for number in (0, 2, 4)))
    shop.new("b", *(one(PICTURES[number], id=f"{number}") for number in (1, 2, 3)))
    result = shop.search(["a", "b", "a", "b", "a"], PICTURES[2], limit=-1).body["result"]
    assert {(match["group"], match["id"]) for match in result} == {("a", i) for i in "024"} | {("b", i) for i in "123"}
    assert [match["id"] for match in result[:2]] == ["2", "2"]
    scores = [match["score"] for match in result]
    assert scores == sorted(set(scores), reverse=True)
    assert len(shop.search(["a", "b"], PICTURES[2], limit=4).body["result"]) == 4


@pytest.mark.parametrize("kind", list(Kind))
def test_groups_are_of_the_applications_kind(kind: Kind) -> None:
    application = Application("ak", "sk", "7", "tenant-seven", "seven", policy=Policy(kind))
    ports = memory_ports(application)
    with serving(ports):
        shop = GroupCaller(application)
        shop.new("g", *(one(PICTURES[number], id=f"{number}") for number in range(3)))
        assert ports.catalog.libraries("tenant-seven")[0].kind is kind
        assert (
            shop.found(["g"], PICTURES[1]) == ["1"] if kind is Kind.SAME else len(shop.found(["g"], PICTURES[1])) == 3
        )


# -- Libraries of other dialects -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["same_hq", "similar", "product"])
def test_a_baidu_library_is_a_group(shop: GroupCaller, alice: Caller, library: str) -> None:
    sign = alice.add(library, PICTURES[0], brief='{"a": 1}')
    assert shop.get().body["result"] == [library]
    assert shop.listed(library) == [sign]
    assert shop.found([library], PICTURES[0]) == [sign]
    assert shop.post(f"/{library}/image", {"id": sign}).body == {"label": "", "desc": '{"a": 1}'}
    assert shop.get(f"/{library}/info").body == {"count": 1}
    (added,) = shop.add(library, one(PICTURES[1], desc={"b": 2}))
    assert alice.briefs(library, PICTURES[1], rn=1) == [""]
    assert shop.post(f"/{library}/image", {"id": added}).body == {"label": "", "desc": {"b": 2}}
    answer = shop.post(f"/{library}/add", {"data": [one(PICTURES[1]), one(PICTURES[2], id="mine")]}).body
    assert answer["images"] == ["", ""]
    assert [error["code"] for error in answer["errors"]] == [400, 4000100]
    shop.post(f"/{library}/delete", {"images": [sign]})
    assert alice.call(library, "delete", cont_sign=sign)["error_code"] == 216680
    shop.post(f"/{library}/remove")
    assert alice.call(library, "search", image=PICTURES[1])["result"] == []


@pytest.mark.parametrize("library", ["same_hq", "similar", "product", "jumdata"])
def test_a_reserved_name_makes_the_reserved_library(shop: GroupCaller, alice: Caller, library: str) -> None:
    answer = shop.post(f"/{library}/new", {"data": [one(PICTURES[0], id="mine"), one(PICTURES[0])]}).body
    assert answer["errors"] == [{"code": 4000100, "message": "bad arguments"}, None]
    assert shop.listed(library) == answer["images"][1:]
    if library != "jumdata":
        assert alice.call(library, "add", image=PICTURES[0], brief="b")["error_code"] == 216681
        sign = answer["images"][1]
        assert alice.call(library, "search", image=PICTURES[0])["result"][0]["cont_sign"] == sign


def test_groups_and_a_library_of_another_kind_are_searched_together(shop: GroupCaller, alice: Caller) -> None:
    shop.new("g", one(PICTURES[0], id="0"), one(PICTURES[1], id="1"))
    sign = alice.add("same_hq", PICTURES[0])
    alice.add("same_hq", PICTURES[1])
    result = shop.search(["g", "same_hq"], PICTURES[0], limit=-1).body["result"]
    assert [(match["group"], match["id"]) for match in result[:2]] in (
        [("g", "0"), ("same_hq", sign)],
        [("same_hq", sign), ("g", "0")],
    )
    assert len(result) == 3


# -- Tenancy -----------------------------------------------------------------------------------------------------------------


def test_nobody_finds_reads_or_changes_what_is_another_tenants(alice: Caller) -> None:
    shop, thief = GroupCaller(ALICE), GroupCaller(BOB)
    (made,) = shop.new("g", one(PICTURES[0]))
    shop.add("g", *(one(PICTURES[number], id=f"{number}") for number in (1, 2)))
    sign = alice.add("similar", PICTURES[0])
    marker = shop.get("/g?limit=1").body["marker"]
    assert thief.get().body["result"] == []
    for group, name in (("g", made), ("g", "1"), ("similar", sign)):
        missing = (400, 400, f"group {group} not exists")
        assert thief.get(f"/{group}/info").error == missing
        assert thief.get(f"/{group}").error == missing
        assert thief.get(f"/{group}?marker={marker}").error == missing
        assert thief.post(f"/{group}/image", {"id": name}).error == missing
        assert thief.post(f"/{group}/delete", {"images": [name]}).error == missing
        assert thief.post(f"/{group}/add", {"data": [one(PICTURES[3])]}).error == missing
        assert thief.search([group], PICTURES[0]).error == missing
        assert thief.post(f"/{group}/search", {"data": {"uri": uri(PICTURES[0])}}).error == missing
        assert thief.post(f"/{group}/remove").body == {}
    thief.new("g", one(PICTURES[4], id="theirs"))
    thief.new("similar", one(PICTURES[4]))
    assert thief.get(f"/g?marker={marker}").error == (400, 4000100, "bad arguments")
    for name in (made, "1", sign, ALICE.app_id, "../g/1", f"g/{made}"):
        assert thief.post("/g/image", {"id": name}).error[1] == 400
        assert thief.post("/g/delete", {"images": [name]}).body == {}
    assert thief.found(["g", "similar"], PICTURES[0]) != []
    assert len(thief.found(["g", "similar"], PICTURES[0])) == 2
    assert thief.post("/g/remove").body == {}
    assert sorted(shop.listed("g")) == sorted([made, "1", "2"])
    assert shop.found(["similar"], PICTURES[0]) == [sign]


def test_a_marker_of_a_removed_group_is_of_no_use(shop: GroupCaller) -> None:
    shop.new("g", *(one(PICTURES[0], id=f"{number}") for number in range(3)))
    marker = shop.get("/g?limit=1").body["marker"]
    shop.post("/g/remove")
    shop.new("g", *(one(PICTURES[0], id=f"{number}") for number in range(3)))
    assert shop.get(f"/g?marker={marker}").error == (400, 4000100, "bad arguments")
    shop.new("h", one(PICTURES[0], id="0"))
    assert shop.get(f"/h?marker={marker}").error == (400, 4000100, "bad arguments")


# -- Answers -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call", [lambda shop: shop.get(), lambda shop: shop.get("/none"), lambda shop: shop.post("/g/remove")]
)
def test_answers_are_in_gzip_where_it_is_taken(call: Callable[[GroupCaller], Any]) -> None:
    assert call(GroupCaller(ALICE, gzip=True)) == call(GroupCaller(ALICE))


def test_an_answer_in_gzip_goes_through_the_gateway_as_it_is() -> None:
    response = api_gateway.to_response(GroupCaller(ALICE, gzip=True).raw("GET", "/v1/image/group"))
    assert response.status == 200
    assert dict(response.headers)["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(response.body)) == {"code": 0, "message": "", "result": []}


def test_a_long_answer_is_cut_and_the_list_goes_on(
    shop: GroupCaller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")  # whose events take non-ASCII as it is
    ports = memory_ports(ALICE, settings=Settings(metrics=True))
    with serving(ports):
        shop.new("g")
        library = ports.catalog.libraries("tenant-alice")[0]
        vector = ports.embedder.embed([np.zeros((8, 8, 3), np.uint8)])[0].vectors[Kind.SIMILAR]
        desc = json.dumps('"\\书\u2028' * 400, ensure_ascii=False)
        rows = [
            row(library.uid, f"{number:04d}", desc=desc, vector=vector, model=ports.embedder.model)
            for number in range(1800)
        ]
        for made in rows:
            ports.catalog.put(made, None)
        ports.index.write(rows)
        capsys.readouterr()
        assert shop.listed("g") == [made.key.id for made in rows]
        assert '"AnswersCut":[1.0]' in capsys.readouterr().out
        assert 500 < len(shop.found(["g"], PICTURES[0])) < 1800
        assert '"AnswersCut":[1.0]' in capsys.readouterr().out
        body = {"data": {"uri": uri(PICTURES[0])}, "params": {"limit": -1}}
        for caller in (shop, GroupCaller(ALICE, gzip=True)):
            for answer in (
                caller.raw("GET", "/v1/image/group/g"),
                caller.raw("POST", "/v1/image/group/g/search", json.dumps(body).encode()),
            ):
                assert len(to_json(answer).encode()) < api_gateway.MAX_EVENT_BYTES
