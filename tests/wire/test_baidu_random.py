"""Whatever is sent: an answer in the vendor's form, and nothing changed; whatever is done: what a dictionary would say."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from tests.conftest import ALICE
from tests.support.baidu import FORM, OPERATIONS, PATHS, Caller, event, form, handle, picture, said
from tests.support.examples import examples
from tests.support.fakes import memory_ports

CALLER = Caller(ALICE)
HERE = picture(1)
QUERY = f"access_token={CALLER.token}"

TYPES = st.sampled_from(
    ["", FORM, "application/json", "multipart/form-data; boundary=b", "multipart/form-data", "text/plain"]
)
PIECES = st.sampled_from(
    [
        b"image=",
        b"url=",
        b"&",
        b"=",
        b"brief=b",
        b"&tags=1",
        b"&pn=1",
        b"cont_sign=",
        b"%",
        b"{",
        b"}",
        b'"image":',
        b"--b",
        b"\r\n",
        b"\r\n\r\n",
        b"--",
        b'Content-Disposition: form-data; name="image"',
        base64.b64encode(HERE)[:40],
    ]
)
BODIES = st.binary(max_size=80) | st.lists(PIECES | st.binary(max_size=8), max_size=12).map(b"".join)
TEXTS = st.text(max_size=30) | st.sampled_from(
    ["1", "1,2", "0", "-1", "1;2", "http://x.example/", "data:;base64,", "\0"]
)
NAMES = st.sampled_from(
    ["image", "url", "cont_sign", "brief", "tags", "class_id1", "class_id2", "tag_logic", "pn", "rn"]
)


@pytest.fixture(scope="module")
def stocked() -> Any:
    """HERE is in every library. Shared by all examples, which is what shows that none of them changes anything."""
    ports = memory_ports(ALICE)
    with serving(ports):
        for library in PATHS:
            CALLER.add(library, HERE)
        yield ports


def revisions(ports: Any) -> Any:
    return [{key: row.revision for key, row in store.rows.items()} for store in (ports.catalog, ports.index)]


@given(
    operation=st.sampled_from(OPERATIONS),
    library=st.sampled_from(sorted(PATHS)),
    content_type=TYPES,
    body=BODIES,
)
def test_any_body(stocked: Ports, operation: str, library: str, content_type: str, body: bytes) -> None:
    before = revisions(stocked)
    sent = event(
        "POST", f"{PATHS[library]}/{operation}", query=QUERY, headers={"content-type": content_type}, body=body
    )
    assert said(handle(operation, sent))["error_code"] >= 216000
    assert revisions(stocked) == before


@given(
    operation=st.sampled_from(OPERATIONS),
    library=st.sampled_from(sorted(PATHS)),
    fields=st.dictionaries(NAMES, TEXTS, max_size=5),
)
def test_any_fields(stocked: Ports, operation: str, library: str, fields: dict[str, str]) -> None:
    before = revisions(stocked)
    body = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in fields.items())
    assert CALLER.post(library, operation, body.encode())["error_code"] >= 216000
    assert revisions(stocked) == before


@given(
    function=st.sampled_from([*OPERATIONS, "token", "unknown"]),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "x"]),
    path=st.sampled_from([f"{path}/{operation}" for path in PATHS.values() for operation in OPERATIONS])
    | st.sampled_from(["/oauth/2.0/token", "/rest/", "/rpc/2.0/x"])
    | st.text(max_size=20).map(lambda text: "/" + quote(text, errors="replace")),
    query=st.text(max_size=40) | st.just(QUERY),
    headers=st.dictionaries(
        st.sampled_from(["authorization", "host", "content-type", "content-length"]), st.text(max_size=40)
    ),
    encoded=st.booleans(),
    body=st.text(max_size=20),
)
def test_any_event(
    stocked: Ports, function: str, method: str, path: str, query: str, headers: dict[str, str], encoded: bool, body: str
) -> None:
    before = revisions(stocked)
    sent = event(method, path, query=query, headers=headers) | {"body": body, "isBase64Encoded": encoded}
    answer = handle(function, sent)
    if path.startswith(("/rest/", "/rpc/")) and function != "token":  # where the gateway sends no such path
        assert said(answer)["error_code"] in {3, 14, 110} | set(range(216000, 283000))
    else:
        assert answer["statusCode"] in (400, 401, 404)
    assert revisions(stocked) == before


@given(damage=st.data())
def test_a_picture_with_a_character_changed(stocked: Ports, damage: st.DataObject) -> None:
    """It is another picture or none, and never a failure of ours."""
    text = base64.b64encode(HERE).decode()
    at = damage.draw(st.integers(0, len(text) - 1))
    other = damage.draw(st.characters(max_codepoint=0x2FF))
    damaged = text[:at] + other + text[at + 1 :]
    answer = CALLER.call("similar", "search", image=damaged)
    assert answer.get("error_code") in (None, 216201, 216202, 216203)


def wide(seed: int) -> bytes:
    return picture(seed, "BMP", (16, 16))


@settings(max_examples=examples(25))
@given(
    seeds=st.lists(st.integers(0, 30), unique=True, max_size=25),
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
def test_pages_put_together_are_the_whole_list(seeds: list[int], counts: list[int]) -> None:
    with serving(memory_ports(ALICE)):
        signs = {CALLER.add("similar", wide(seed)) for seed in seeds}
        whole = CALLER.call("similar", "search", image=wide(0))["result"]
        pages: list[dict[str, Any]] = []
        while True:
            count = counts[len(pages) % len(counts)]
            page = CALLER.call("similar", "search", image=wide(0), pn=len(pages), rn=count)
            pages += page["result"]
            if not page["has_more"]:
                break
            assert page["result_num"] == count
        assert pages == whole
        assert {one["cont_sign"] for one in pages} == signs
        assert len(pages) == len(signs)


class LibraryMachine(RuleBasedStateMachine):
    """A library beside a dictionary from seeds to (brief, tags)."""

    seeds = st.integers(0, 4)
    briefs = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)
    tags = st.lists(st.integers(1, 3).map(str), max_size=2)

    @initialize()
    def begin(self) -> None:
        self.serving = serving(memory_ports(ALICE))
        self.serving.__enter__()
        self.expected: dict[int, tuple[str, set[str]]] = {}
        self.signs: dict[int, str] = {}

    def teardown(self) -> None:
        self.serving.__exit__(None, None, None)

    @rule(seed=seeds, brief=briefs, tags=tags)
    def add(self, seed: int, brief: str, tags: list[str]) -> None:
        answer = CALLER.call("similar", "add", image=wide(seed), brief=brief, tags=",".join(tags))
        if seed in self.expected:
            assert answer["error_code"] == 216681
        else:
            assert self.signs.setdefault(seed, answer["cont_sign"]) == answer["cont_sign"]
            self.expected[seed] = (brief, set(tags))

    @rule(seed=seeds, brief=briefs | st.just(""), tags=tags, by_sign=st.booleans())
    def update(self, seed: int, brief: str, tags: list[str], by_sign: bool) -> None:
        which = {"cont_sign": self.signs.get(seed, "1,1")} if by_sign else {"image": wide(seed)}
        answer = CALLER.call("similar", "update", **which, brief=brief, tags=",".join(tags))
        if seed in self.expected:
            assert "error_code" not in answer
            before = self.expected[seed]
            self.expected[seed] = (brief or before[0], set(tags) or before[1])
        else:
            assert answer["error_code"] == 216680

    @rule(chosen=st.lists(seeds, min_size=1, max_size=3))
    def delete(self, chosen: list[int]) -> None:
        answer = CALLER.call("similar", "delete", cont_sign=";".join(self.signs.get(seed, "1,1") for seed in chosen))
        assert ("error_code" in answer) == (not self.expected.keys() & set(chosen))
        for seed in chosen:
            self.expected.pop(seed, None)

    @rule(tags=tags, any_of=st.booleans())
    def search(self, tags: list[str], any_of: bool) -> None:
        found = CALLER.call("similar", "search", image=wide(0), tags=",".join(tags), tag_logic=int(any_of))["result"]
        keeps = set(tags).intersection if any_of and tags else set(tags).issubset
        wanted = [brief for brief, carried in self.expected.values() if keeps(carried)]
        assert sorted(one["brief"] for one in found) == sorted(wanted)

    @invariant()
    def shows_what_it_holds(self) -> None:
        found = CALLER.call("similar", "search", image=wide(0))
        shown = {one["cont_sign"]: one["brief"] for one in found["result"]}
        assert shown == {self.signs[seed]: brief for seed, (brief, _) in self.expected.items()}
        assert found["result_num"] == len(self.expected)


def test_a_library_is_what_was_done_to_it() -> None:
    run_state_machine_as_test(LibraryMachine, settings=settings(max_examples=examples(40), stateful_step_count=20))


def test_a_form_still_works_here(stocked: Ports) -> None:
    """So that the refusals above are refusals of what was sent."""
    assert CALLER.post("similar", "search", form(image=HERE))["result_num"] == 1
