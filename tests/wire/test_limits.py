"""Limits of use, in every vendor's own codes. What is refused has not been done."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lookalike.domain.application import Application, Policy
from lookalike.errors import Busy
from lookalike.handlers import http
from lookalike.handlers.process_ports import serving
from lookalike.limits.call import Call
from lookalike.settings import Settings
from lookalike.wire import forms
from lookalike.wire.qiniu import signature
from tests.conftest import ALICE
from tests.support.baidu import FORM, PATHS, Caller, event, form, handle, picture, said
from tests.support.fakes import MemoryApplications, memory_ports
from tests.support.jumdata import Client
from tests.support.qiniu import GroupCaller, one

Code = Callable[[Application, int], int | None]


def baidu(application: Application, seed: int) -> int | None:
    """The code that adding a picture is answered with; None if it is added."""
    answer = Caller(application).call("similar", "add", image=picture(seed), brief="b")
    return answer.get("error_code")


def qiniu(application: Application, seed: int) -> int | None:
    """The status of making a group of one picture."""
    answer = GroupCaller(application).post(f"/g{seed}/new", {"data": [one(picture(seed, size=(40, 40)))]})
    return None if answer.status == 200 else answer.status


def jumdata(application: Application, seed: int) -> int | None:
    answer = Client(application).call("input", base64=picture(seed))
    return None if answer["code"] == 200 else int(answer["code"])


def code(dialect: Code, of_baidu: int, of_jumdata: int, of_qiniu: int) -> int:
    """That dialect's one of the codes."""
    return {baidu: of_baidu, jumdata: of_jumdata, qiniu: of_qiniu}[dialect]  # type: ignore[index]  # all three are Codes


ROWS = [
    ("a rate", Policy(per_second=2), (18, 609, 429)),
    ("a day", Policy(per_day=2), (17, 606, 429)),
    ("a total", Policy(in_total=2), (19, 606, 429)),
    ("networks", Policy(networks=("192.0.2.0/24",)), (6, 607, 401)),
]
DIALECTS = pytest.mark.parametrize("dialect", [baidu, jumdata, qiniu])


class Refused(Call):
    """A call that has waited too long."""

    def check(self) -> None:
        raise Busy("too long")


@DIALECTS
def test_what_waited_too_long_gets_the_vendors_code_and_is_not_done(
    dialect: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(memory_ports(ALICE)):
        with monkeypatch.context() as patched:
            patched.setattr(http, "_call", lambda *_: Refused())
            assert dialect(ALICE, 0) == code(dialect, 18, 609, 429)
        assert dialect(ALICE, 0) is None  # so it was not done before


@pytest.mark.parametrize(("milliseconds", "codes"), [(60_000, (None, None)), (500, (18, None))])
def test_in_lambda_a_search_gives_up_while_it_can_still_say_so_and_an_add_does_not(
    milliseconds: int, codes: tuple[int | None, int | None]
) -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds)
    query, body = f"access_token={Caller(ALICE).token}", form(image=picture(0), brief="b")
    with serving(memory_ports(ALICE)):
        for operation, expected in zip(("search", "add"), codes, strict=True):
            sent = event(
                "POST", f"{PATHS['similar']}/{operation}", query=query, headers={"content-type": FORM}, body=body
            )
            handler = importlib.import_module(f"functions.{operation}.app").handler
            assert said(handler(sent, context)).get("error_code") == expected


@DIALECTS
@pytest.mark.parametrize(("policy", "codes"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_over_a_limit_gets_the_vendors_code_and_is_not_done(
    dialect: Code, policy: Policy, codes: tuple[int, int, int]
) -> None:
    limited = replace(ALICE, policy=policy)
    ports = memory_ports(limited)
    with serving(ports):
        answers = [dialect(limited, seed) for seed in range(4)]
    admitted = 0 if policy.networks else 2
    assert answers == [None] * admitted + [code(dialect, *codes)] * (4 - admitted)
    libraries = ports.catalog.libraries(limited.tenant)
    assert sum(ports.index.count(library.uid) for library in libraries) == admitted


@DIALECTS
def test_the_whole_services_rate(dialect: Code) -> None:
    with serving(memory_ports(ALICE, settings=Settings(per_second=1))):
        assert [dialect(ALICE, seed) for seed in range(2)] == [None, code(dialect, 4, 609, 429)]


@DIALECTS
def test_a_disabled_application(dialect: Code) -> None:
    disabled = replace(ALICE, active=False)
    with serving(memory_ports(disabled)):
        assert dialect(disabled, 1) == code(dialect, 6, 602, 401)


@DIALECTS
def test_a_caller_that_cannot_prove_who_it_is_counts_for_nobody(dialect: Code) -> None:
    limited = replace(ALICE, policy=Policy(per_day=1))
    with serving(memory_ports(limited)):
        stranger = replace(limited, secret_key="guessed")
        assert dialect(stranger, 1) == code(dialect, 110, 400, 401)
        assert dialect(limited, 1) is None


def stranger(number: int) -> Application:
    """Somebody whose keys are nobody's."""
    return Application(f"stranger-{number}", "guessed", str(20_000_000 + number), "nobody", "nobody")


@DIALECTS
def test_strangers_keep_one_another_out_and_no_customer(dialect: Code) -> None:
    with serving(memory_ports(ALICE, settings=Settings(per_second=3))):
        assert dialect(ALICE, 1) is None
        unknown, busy = code(dialect, 110, 601, 401), code(dialect, 4, 609, 429)
        assert [dialect(stranger(number), 2) for number in range(20)] == [unknown] * 2 + [busy] * 18
        assert [dialect(ALICE, seed) for seed in (2, 3, 4)] == [None, None, busy]


@DIALECTS
def test_what_the_services_rate_refuses_is_not_even_read(dialect: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = memory_ports(ALICE, settings=Settings(per_second=1))
    busy = code(dialect, 4, 609, 429)
    with serving(ports):
        assert [dialect(ALICE, seed) for seed in (1, 2)] == [None, busy]

        def fail(*_: object) -> None:
            raise AssertionError("read for nothing")

        monkeypatch.setattr(forms, "read", fail)
        monkeypatch.setattr(signature, "verify", fail)
        monkeypatch.setattr(MemoryApplications, "application", fail)
        monkeypatch.setattr(MemoryApplications, "application_by_id", fail)
        assert dialect(ALICE, 3) == busy


def test_the_token_endpoint_looks_strangers_up_at_the_services_rate(capsys: pytest.CaptureFixture[str]) -> None:
    def status(application: Application) -> int:
        query = f"grant_type=client_credentials&client_id={application.access_key}&client_secret=alice-secret"
        return int(handle("token", event("GET", "/oauth/2.0/token", query=query))["statusCode"])

    with serving(memory_ports(ALICE, settings=Settings(per_second=2, metrics=True))):
        assert status(ALICE) == 200
        assert [status(stranger(number)) for number in range(3)] == [401, 500, 500]
        assert status(ALICE) == 200
    assert "Failures" not in capsys.readouterr().out, "no failure of ours"
