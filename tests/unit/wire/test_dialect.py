"""The endpoint of every vendor, with a dialect of four lines: plain text, statuses and headers of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lookalike.domain.application import Application
from lookalike.errors import InvalidArgument, PictureNotFound, ServiceRateReached, TokenInvalid
from lookalike.limits.call import Call
from lookalike.ports import Ports
from lookalike.wire import forms
from lookalike.wire.dialect import Codes, Dialect, code_of
from lookalike.wire.forms import Form, RequestForms
from lookalike.wire.http import Answer, Request
from lookalike.wire.log_fields import CallId, LogFields
from tests.conftest import ALICE
from tests.support.baidu import event
from tests.support.fakes import memory_ports

ID = CallId("trace", 7)
CODES: Codes = {PictureNotFound: (404, "gone"), TokenInvalid: (401, "who?"), Exception: (500, "oh")}


def authenticate(_ports: Ports, request: Request) -> tuple[Application, Form]:
    if "token" not in forms.query(request):
        raise TokenInvalid("missing")
    return ALICE, forms.body(request)


def render(result: str, call_id: CallId, _request: Request) -> Answer:
    return Answer(result.encode(), 201, "text/plain", (("etag", str(call_id.value)),))


def refuse(error: Exception, _call_id: CallId, _request: Request) -> Answer:
    status, message = code_of(CODES, error)
    return Answer(message.encode(), status, failed=status == 500)


PLAIN = Dialect(lambda: ID, authenticate, render, refuse, lambda request: request.arguments.get("library"))


def echo(_ports: Ports, application: Application, form: Form) -> str:
    if form.text("fail"):
        raise {"gone": PictureNotFound("a"), "bug": KeyError("secret")}[form.text("fail")]
    return f"{application.name} says {form.text('text')}"


def ask(query: str = "token", body: bytes = b"text=hello", ports: Ports | None = None) -> Answer:
    request = replace(Request.of(event("POST", "/", query=query, body=body)), arguments={"library": "one"})
    return PLAIN.endpoint(echo)(ports or memory_ports(ALICE), request)


def test_what_a_call_returns_is_rendered_and_logged() -> None:
    answer = ask()
    assert (answer.body, answer.status, answer.content_type) == (b"alice says hello", 201, "text/plain")
    assert answer.headers == (("etag", "7"),)
    assert (answer.outcome, answer.failed) == ("ok", False)
    assert list(answer.log.extra().items()) == [("trace", 7), ("library", "one"), ("app_id", ALICE.app_id)]


@pytest.mark.parametrize(
    ("query", "fail", "status", "outcome", "known"),
    [
        ("", "", 401, "TokenInvalid", ["trace", "library", "reason"]),
        ("token", "gone", 404, "PictureNotFound", ["trace", "library", "app_id", "reason"]),
        ("token", "bug", 500, "KeyError", ["trace", "library", "app_id", "reason", "remedy"]),
    ],
)
def test_what_goes_wrong_is_refused_in_the_dialects_code(
    query: str, fail: str, status: int, outcome: str, known: list[str], log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    answer = ask(query, f"fail={fail}".encode())
    assert (answer.status, answer.outcome, answer.failed) == (status, outcome, status == 500)
    assert [name for name in answer.log.extra() if name != "remedy" or "remedy" in known] == known
    failures = [line for line in log_lines() if line["message"] == "failed"]
    assert [(line["trace"], line["request_id"]) for line in failures] == ([(7, "request-1")] if status == 500 else [])


def test_a_call_that_waited_too_long_is_not_even_authenticated() -> None:
    class Late(Call):
        def check(self) -> None:
            raise ServiceRateReached("late")

    answer = ask("", ports=replace(memory_ports(ALICE), call=Late()))
    assert answer.outcome == "ServiceRateReached"


def test_a_path_of_nobody_is_refused_whoever_asks() -> None:
    answer = PLAIN.not_found(memory_ports(), Request.of(event("GET", "/x")))
    assert (answer.status, answer.outcome) == (500, "UnknownOperation")
    assert "library" not in answer.log.extra()


def test_an_error_without_a_code_has_that_of_the_class_it_derives_from() -> None:
    assert code_of({InvalidArgument: (1, "a"), Exception: (2, "b")}, InvalidArgument("name")) == (1, "a")
    assert code_of({InvalidArgument: (1, "a"), Exception: (2, "b")}, KeyError()) == (2, "b")


def test_nothing_is_logged_of_what_is_not_known() -> None:
    assert LogFields().extra() == {}


def test_query_and_body_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reader(name: str) -> Callable[[Request], Form]:
        def reads(_request: Request) -> Form:
            read.append(name)
            return Form({})

        return reads

    for name in ("query", "body"):
        monkeypatch.setattr(forms, name, reader(name))
    sent = RequestForms(Request.of(event("POST", "/", body=b"a=1")))
    assert read == []
    for _ in range(2):
        assert (sent.body, sent.query) == (Form({}), Form({}))
    assert read == ["body", "query"]
