"""What the four calls do, for requests as real clients write them."""

from __future__ import annotations

import base64
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from lookalike.domain.library import Kind
from lookalike.ports import Ports
from lookalike.service.ranking import WINDOW
from tests.support.baidu import FORM, PATHS, Caller, form, picture
from tests.support.fakes import MemoryWeb, SetClock

pytestmark = pytest.mark.usefixtures("memory")

LIBRARIES = tuple(PATHS)
TAGGED = ("same_hq", "similar")


def text_of(file: bytes) -> str:
    return base64.b64encode(file).decode()


@pytest.mark.parametrize("library", LIBRARIES)
class TestLife:
    def test_of_a_picture(self, alice: Caller, library: str) -> None:
        assert alice.call(library, "search", image=picture(1)) | {"log_id": 0} == {
            "log_id": 0,
            "result_num": 0,
            "result": [],
            "has_more": False,
        }
        sign = alice.add(library, picture(1), '{"name":"小度", "id":"1"}')
        found = alice.call(library, "search", image=picture(1))
        assert found["result"] == [{"score": 1, "brief": '{"name":"小度", "id":"1"}', "cont_sign": sign}]
        assert (found["result_num"], found["has_more"]) == (1, False)
        assert set(alice.call(library, "update", cont_sign=sign, brief="new")) == {"log_id"}
        assert alice.briefs(library, picture(1)) == ["new"]
        assert set(alice.call(library, "delete", cont_sign=sign)) == {"log_id"}
        assert alice.briefs(library, picture(1)) == []
        assert alice.call(library, "delete", cont_sign=sign)["error_code"] == 216680
        assert alice.add(library, picture(1), "again") == sign
        assert alice.briefs(library, picture(1)) == ["again"]

    def test_a_sign_is_two_numbers_that_tell_the_picture(self, alice: Caller, library: str) -> None:
        sign = alice.add(library, picture(1))
        first, second = (int(part) for part in sign.split(","))
        assert max(first, second) < 2**32
        assert alice.add(library, picture(2)) != sign
        # The same pixels in another file are the same picture.
        assert alice.call(library, "add", image=picture(1, "BMP"), brief="b")["error_code"] == 216681

    @pytest.mark.parametrize("by", ["image", "url", "cont_sign"])
    def test_update_and_delete_by(self, alice: Caller, web: MemoryWeb, library: str, by: str) -> None:
        web.answers["http://pictures.example/1.png"] = picture(1)
        sign = alice.add(library, picture(1))
        which = {"image": picture(1), "url": "http://pictures.example/1.png", "cont_sign": sign}[by]
        assert "error_code" not in alice.call(library, "update", **{by: which}, brief="new")
        assert alice.briefs(library, picture(1)) == ["new"]
        assert "error_code" not in alice.call(library, "delete", **{by: which})
        assert alice.briefs(library, picture(1)) == []

    def test_image_wins_over_url_and_url_over_sign(self, alice: Caller, web: MemoryWeb, library: str) -> None:
        web.answers["http://pictures.example/2.png"] = picture(2)
        one, two, three = (alice.add(library, picture(seed), str(seed)) for seed in (1, 2, 3))
        url = "http://pictures.example/2.png"
        assert alice.call(library, "search", image=picture(3), url=url)["result"][0]["cont_sign"] == three
        assert alice.call(library, "search", image="", url=url)["result"][0]["cont_sign"] == two
        alice.call(library, "update", url=url, cont_sign=one, brief="url")
        alice.call(library, "update", image=picture(3), url=url, cont_sign=one, brief="image")
        assert [alice.briefs(library, picture(seed))[0] for seed in (1, 2, 3)] == ["1", "url", "image"]

    def test_an_url_that_points_at_a_picture(self, alice: Caller, web: MemoryWeb, library: str) -> None:
        web.answers["https://pictures.example/图.png?a=1&b=2"] = picture(1)
        url = " https://pictures.example/图.png?a=1&b=2\n"
        assert "cont_sign" in alice.call(library, "add", url=url, brief="by url")
        assert alice.briefs(library, picture(1)) == ["by url"]

    @pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG"])
    def test_formats(self, alice: Caller, library: str, kind: str) -> None:
        assert alice.add(library, picture(1, kind))

    def test_delete_takes_a_list(self, alice: Caller, library: str) -> None:
        signs = [alice.add(library, picture(seed), str(seed)) for seed in range(5)]
        given = f" {signs[0]} ;{signs[1]};;{signs[0]};1,2;rubbish;"
        assert "error_code" not in alice.call(library, "delete", cont_sign=given)
        for seed in range(5):
            assert (str(seed) in alice.briefs(library, picture(seed))) == (seed > 1)
        assert alice.call(library, "delete", cont_sign=given)["error_code"] == 216680

    def test_a_thousand_signs(self, alice: Caller, library: str) -> None:
        sign = alice.add(library, picture(1))
        assert "error_code" not in alice.call(library, "delete", cont_sign=";".join([*["1,2"] * 999, sign]))

    def test_update_of_one_sign_in_a_list_of_one(self, alice: Caller, library: str) -> None:
        sign = alice.add(library, picture(1))
        assert "error_code" not in alice.call(library, "update", cont_sign=f"{sign};", brief="new")
        assert alice.briefs(library, picture(1)) == ["new"]


class TestBriefs:
    @pytest.mark.parametrize(
        "brief",
        [
            '{"name":"周杰伦", "id":"666"}',
            r"{\"name\":\"a\"}",
            " blanks at the ends ",
            "tab\tline\r\nbreak",
            "100% of a+b & c=d;e",
            "😀 emoji, é and é",
            "null",
            "b" * 256,
            "图" * 85 + "b",
        ],
    )
    def test_come_back_byte_for_byte(self, alice: Caller, brief: str) -> None:
        alice.add("similar", picture(1), brief)
        assert alice.briefs("similar", picture(1)) == [brief]
        alice.call("similar", "update", image=picture(1), brief="x" + brief[1:])
        assert alice.briefs("similar", picture(1)) == ["x" + brief[1:]]

    def test_are_optional_for_products(self, alice: Caller) -> None:
        assert "cont_sign" in alice.call("product", "add", image=picture(1))
        assert alice.briefs("product", picture(1)) == [""]

    @pytest.mark.parametrize("library", LIBRARIES)
    def test_and_tags_left_out_or_empty_stay_as_they_are(self, alice: Caller, library: str) -> None:
        sign = alice.add(library, picture(1), "first", tags="1,2", class_id1=1, class_id2=2)
        for nothing in ({}, {"brief": "", "tags": "", "class_id1": "", "class_id2": ""}, {"tags": " , "}):
            assert "error_code" not in alice.call(library, "update", cont_sign=sign, **nothing)
            assert alice.briefs(library, picture(1), tags="1,2", class_id1=1, class_id2=2) == ["first"]
        alice.call(library, "update", cont_sign=sign, tags="3", class_id1=3, class_id2=3)
        assert alice.briefs(library, picture(1), tags="3", class_id1=3, class_id2=3) == ["first"]
        assert alice.briefs(library, picture(1), tags="1", class_id1=1) == []
        alice.call(library, "update", cont_sign=sign, brief="second")
        assert alice.briefs(library, picture(1), tags="3", class_id1=3, class_id2=3) == ["second"]


@pytest.mark.parametrize("library", TAGGED)
class TestTags:
    @pytest.mark.parametrize(
        ("tags", "kept"),
        [
            ("100,11", ("100", "11")),
            ("1,1", ("1",)),
            ("12,", ("12",)),
            (",,12", ("12",)),
            (" 7 , 8 ", ("7", "8")),
            ("007,7", ("7",)),
            ("1,65535", ("1", "65535")),
            (5, ("5",)),
            ("", ()),
            (",", ()),
        ],
    )
    def test_as_clients_write_them(
        self, memory: Ports, alice: Caller, library: str, tags: Any, kept: tuple[str, ...]
    ) -> None:
        alice.add(library, picture(1), tags=tags)
        (row,) = next(memory.catalog.scan(Kind.SAME if library == "same_hq" else Kind.SIMILAR))
        assert row.metadata.tags == kept

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({}, "ab"),
            ({"tags": ""}, "ab"),
            ({"tags": "1"}, "ab"),
            ({"tags": "2"}, "a"),
            ({"tags": "1,2"}, "a"),
            ({"tags": "2,3"}, ""),
            ({"tags": "2,3", "tag_logic": ""}, ""),
            ({"tags": "2,3", "tag_logic": "0"}, ""),
            ({"tags": "2,3", "tag_logic": "1"}, "ab"),
            ({"tags": "3,4", "tag_logic": 1}, "b"),
            ({"tags": "2,2"}, "a"),
            ({"tag_logic": "1"}, "ab"),
            ({"class_id1": "2"}, "ab"),
        ],
    )
    def test_narrow_a_search(self, alice: Caller, library: str, asked: dict[str, Any], found: str) -> None:
        alice.add(library, picture(1), "a", tags="1,2")
        alice.add(library, picture(1, size=(33, 24)), "b", tags="3,1")
        assert sorted(alice.briefs(library, picture(1), **asked)) == sorted(found)


class TestClasses:
    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({}, "abc"),
            ({"class_id1": "1"}, "ac"),
            ({"class_id2": "2"}, "ab"),
            ({"class_id1": "1", "class_id2": "2"}, "a"),
            ({"class_id1": "1", "class_id2": "2", "tag_logic": "0"}, "a"),
            ({"class_id1": "1", "class_id2": "2", "tag_logic": "1"}, "abc"),
            ({"class_id1": "2"}, ""),
            ({"class_id1": "", "class_id2": "2"}, "ab"),
            ({"tags": "9"}, "abc"),
        ],
    )
    def test_narrow_a_search(self, alice: Caller, asked: dict[str, Any], found: str) -> None:
        alice.add("product", picture(1), "a", class_id1=1, class_id2=2)
        alice.add("product", picture(1, size=(33, 24)), "b", class_id1=3, class_id2=2)
        alice.add("product", picture(1, size=(34, 24)), "c", class_id1="1")
        assert sorted(alice.briefs("product", picture(1), **asked)) == sorted(found)

    def test_updated_one_at_a_time(self, alice: Caller) -> None:
        """They are two fields, each of them optional: the one that is left out stays."""
        sign = alice.add("product", picture(1), class_id1=1, class_id2=2)
        alice.call("product", "update", cont_sign=sign, class_id1=5)
        assert alice.briefs("product", picture(1), class_id1=5, class_id2=2)
        alice.call("product", "update", cont_sign=sign, class_id2=6)
        assert alice.briefs("product", picture(1), class_id1=5, class_id2=6)
        assert not alice.briefs("product", picture(1), class_id1=1, class_id2=2, tag_logic=1)


class TestPages:
    def test_one_after_the_other_they_are_the_whole_list(self, alice: Caller) -> None:
        for seed in range(40):
            alice.add("similar", picture(seed), str(seed))
        whole = alice.call("similar", "search", image=picture(0))
        assert whole["result_num"] == 40
        for count in (1, 7, 39, 40, 41, 1000, 5000):
            pages: list[dict[str, Any]] = []
            more = True
            while more:
                page = alice.call("similar", "search", image=picture(0), pn=len(pages), rn=count)
                assert page["result_num"] == len(page["result"]) <= count
                pages += page["result"]
                more = page["has_more"]
            assert pages == whole["result"]

    def test_best_first_and_no_score_twice(self, alice: Caller) -> None:
        for width in range(32, 62):  # the same thumbnail for all: every cosine is equal
            alice.add("similar", picture(1, size=(width, 24)))
        scores = [one["score"] for one in alice.call("similar", "search", image=picture(1))["result"]]
        assert scores == sorted(scores, reverse=True)
        assert len({struct.pack("f", score) for score in scores}) == 30
        assert scores[0] == 1
        assert all(0 < score < 1 for score in scores[1:])

    @pytest.mark.parametrize(
        ("asked", "found", "more"),
        [
            ({"pn": 0, "rn": 2}, 2, True),
            ({"pn": "2", "rn": "1"}, 1, False),
            ({"pn": "", "rn": ""}, 3, False),
            ({"pn": 3}, 0, False),
            ({"pn": 200}, 0, False),
            ({"pn": WINDOW}, 0, False),
            ({"pn": 10**17}, 0, False),
            ({"pn": 999, "rn": 1000}, 0, False),
            ({"rn": 10**17}, 3, False),
        ],
    )
    def test_bounds(self, alice: Caller, asked: dict[str, Any], found: int, more: bool) -> None:
        for seed in range(3):
            alice.add("product", picture(seed))
        answer = alice.call("product", "search", image=picture(0), **asked)
        assert (answer["result_num"], answer["has_more"]) == (found, more)

    def test_three_hundred_unless_asked_for_more(self, alice: Caller) -> None:
        for seed in range(305):
            alice.add("similar", picture(seed, "BMP", (15, 15)))
        answer = alice.call("similar", "search", image=picture(0))
        assert (answer["result_num"], answer["has_more"]) == (300, True)
        assert alice.call("similar", "search", image=picture(0), rn=1000)["result_num"] == 305


class TestBodies:
    """Each of these is how some client really writes its requests."""

    def multipart(self, **parts: str | bytes) -> tuple[bytes, str]:
        """As PHP's curl does with an array, and libcurl with a form."""
        mark = "------------------------d74496d66958873e"
        body = b"".join(
            b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
            % (mark.encode(), name.encode(), part.encode() if isinstance(part, str) else part)
            for name, part in parts.items()
        )
        return body + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"

    def test_multipart(self, alice: Caller) -> None:
        body, content_type = self.multipart(
            image=text_of(picture(1)), brief='{"name":"周杰伦", "id":"666"}', tags="1,1"
        )
        assert "cont_sign" in alice.post("similar", "add", body, content_type)
        assert alice.briefs("similar", picture(1), tags="1") == ['{"name":"周杰伦", "id":"666"}']
        body, content_type = self.multipart(image=text_of(picture(1)))
        assert alice.post("similar", "search", body, content_type)["result_num"] == 1

    def test_json(self, alice: Caller) -> None:
        fields = {"image": text_of(picture(1)), "brief": "小度", "class_id1": 5, "class_id2": None, "url": ""}
        for content_type in ("application/json", "application/json; charset=UTF-8"):
            alice.call("product", "delete", image=picture(1))
            assert "cont_sign" in alice.post("product", "add", json.dumps(fields).encode(), content_type)
            found = alice.post("product", "search", json.dumps({**fields, "pn": 0, "rn": 1}).encode(), content_type)
            assert [one["brief"] for one in found["result"]] == ["小度"]

    @pytest.mark.parametrize(
        "content_type",
        [FORM, f"{FORM};charset=UTF-8", f"{FORM}; charset=gbk", None, "", "application/json", "text/plain"],
    )
    def test_a_form_whatever_its_type(self, alice: Caller, content_type: str | None) -> None:
        body = form(image=picture(1), brief="小度")
        assert "cont_sign" in alice.post("similar", "add", body, content_type)
        assert alice.briefs("similar", picture(1)) == ["小度"]

    def test_nothing_percent_encoded_but_the_picture(self, alice: Caller) -> None:
        """The vendor's curl and Java samples."""
        body = f'brief={{"name":"小度", "id":"1"}}&image={quote(text_of(picture(1)))}&tags=1,1'.encode()
        assert "cont_sign" in alice.post("similar", "add", body)
        assert alice.briefs("similar", picture(1)) == ['{"name":"小度", "id":"1"}']

    def test_the_code_page_of_chinese_windows(self, alice: Caller) -> None:
        """The vendor's C# sample: no type, and the system's encoding."""
        body = b"brief=" + "相同图检索".encode("gbk") + f"&image={quote(text_of(picture(1)))}".encode()
        assert "cont_sign" in alice.post("similar", "add", body, None)
        assert alice.briefs("similar", picture(1)) == ["相同图检索"]

    def test_slashes_as_they_are(self, alice: Caller) -> None:
        """The .NET SDK."""
        body = f"image={quote(text_of(picture(1)), safe='/')}&brief=a/b".encode()
        assert "cont_sign" in alice.post("similar", "add", body)
        assert alice.briefs("similar", picture(1)) == ["a/b"]

    @pytest.mark.parametrize(
        "damaged",
        [
            lambda text: text,
            lambda text: text.replace("+", " "),
            lambda text: quote("\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)), safe=""),
            lambda text: "data:image/png;base64," + text,
            lambda text: quote("data:image/png;base64," + text, safe=""),
            lambda text: quote(quote(text, safe=""), safe=""),
            lambda text: text.rstrip("="),
        ],
    )
    def test_base64_as_it_is_found_in_the_wild(self, alice: Caller, damaged: Any) -> None:
        sign = alice.add("similar", picture(7))
        body = f"image={damaged(text_of(picture(7)))}".encode()
        assert alice.post("similar", "search", body)["result"][0]["cont_sign"] == sign

    def test_fields_nobody_knows_and_fields_given_twice(self, alice: Caller) -> None:
        body = form(image=picture(1), brief="first", sub_lib="x", method="POST", tags="1", **{"Content-Type": FORM})
        assert "cont_sign" in alice.post("product", "add", body + b"&brief=second&image=rubbish")
        assert alice.briefs("product", picture(1), brief="ignored", sub_lib="x") == ["first"]

    def test_bare_keys(self, alice: Caller) -> None:
        """The Java SDK writes an empty value without its equals sign."""
        assert "cont_sign" in alice.post(
            "similar", "add", b"tags&url&" + form(image=picture(1), brief="b") + b"&tag_logic"
        )

    def test_a_form_that_fills_in_everything(self, alice: Caller) -> None:
        empty = dict.fromkeys(("url", "cont_sign", "tags", "class_id1", "class_id2", "tag_logic", "pn", "rn"), "")
        for library in LIBRARIES:
            alice.add(library, picture(1), "b", **empty)
            assert alice.briefs(library, picture(1), brief="", **empty) == ["b"]


class TestTenants:
    @pytest.mark.parametrize("library", LIBRARIES)
    def test_see_nothing_of_each_other(self, alice: Caller, bob: Caller, library: str) -> None:
        sign = alice.add(library, picture(1), "alice's")
        assert bob.briefs(library, picture(1)) == []
        for which in ({"cont_sign": sign}, {"image": picture(1)}):
            assert bob.call(library, "update", **which, brief="bob's")["error_code"] == 216680
            assert bob.call(library, "delete", **which)["error_code"] == 216680
        assert bob.add(library, picture(1), "bob's") == sign
        assert "error_code" not in bob.call(library, "update", cont_sign=sign, brief="bob's own")
        assert "error_code" not in bob.call(library, "delete", cont_sign=sign)
        assert alice.briefs(library, picture(1)) == ["alice's"]

    def test_libraries_see_nothing_of_each_other(self, alice: Caller) -> None:
        signs = {alice.add(library, picture(1), library) for library in LIBRARIES}
        assert len(signs) == 1
        alice.call("similar", "delete", cont_sign=signs.pop())
        assert [alice.briefs(library, picture(1)) for library in LIBRARIES] == [["same_hq"], [], ["product"]]

    def test_at_once_through_one_handler(self, alice: Caller, bob: Caller) -> None:
        """Handlers run in threads on one machine: nothing of a request may be kept where another one sees it."""
        rounds = 60

        def work(caller: Caller, at: int) -> None:
            name = f"{caller.application.name} {at}"
            sign = caller.add("similar", picture(at), name)
            found = caller.call("similar", "search", image=picture(at))["result"]
            assert found[0] == {"score": 1, "brief": name, "cont_sign": sign}
            assert all(one["brief"].startswith(caller.application.name) for one in found)
            assert "error_code" not in caller.call("similar", "update", cont_sign=sign, brief=f"{name}!")
            assert caller.call("similar", "search", image=picture(at), rn=1)["result"][0]["brief"] == f"{name}!"

        with ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(work, caller, at) for at in range(rounds) for caller in (alice, bob)]
            for job in jobs:
                job.result()
        for caller in (alice, bob):
            assert caller.call("similar", "search", image=picture(0))["result_num"] == rounds


def test_racing_adds_of_one_picture_make_one(alice: Caller) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: alice.call("similar", "add", image=picture(1), brief="b"), range(8)))
    assert sorted(answer.get("error_code", 0) for answer in answers) == [0] + [216681] * 7


def test_a_revision_never_restarts(memory: Ports, alice: Caller, clock: SetClock) -> None:
    sign = alice.add("similar", picture(1))
    clock.now -= 60_000
    alice.call("similar", "delete", cont_sign=sign)
    assert alice.add("similar", picture(1), "again") == sign
    assert alice.briefs("similar", picture(1)) == ["again"]
    (row,) = next(memory.catalog.scan(Kind.SIMILAR))
    assert row.revision > clock.now + 60_000
