"""The token endpoint, and tokens and signatures on calls, as the vendor's clients use them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from lookalike.errors import Unavailable
from lookalike.ports import Ports
from lookalike.wire.baidu import access_tokens
from tests.support.baidu import FORM, OPERATIONS, PATHS, Caller, event, form, handle, picture, said
from tests.support.fakes import SetClock

GRANT = {"grant_type": "client_credentials", "client_id": "alice-access", "client_secret": "alice-secret"}

#: By client: method, query, headers, body.
STYLES: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "Python, PHP, .NET, Go": ("GET", urlencode(GRANT), {}, b""),
    "Node, Java": ("POST", "", {"content-type": FORM}, urlencode(GRANT).encode()),
    "Java without a type": ("POST", "", {}, urlencode(GRANT).encode()),
    "curl": ("POST", urlencode(GRANT), {}, b""),
    "hand-written": ("POST", urlencode(GRANT), {"content-type": "application/json"}, b""),
    "hand-written, get": ("GET", urlencode(GRANT), {"content-type": "application/json"}, b""),
    "hand-written, charset": ("POST", "", {"content-type": f"{FORM};charset=UTF-8"}, urlencode(GRANT).encode()),
    "hand-written, json": ("POST", "", {"content-type": "application/json"}, json.dumps(GRANT).encode()),
    "half and half": (
        "POST",
        "grant_type=client_credentials&client_id=alice-access",
        {},
        b"client_secret=alice-secret",
    ),
}


def ask(
    method: str = "GET", query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
) -> dict[str, Any]:
    return handle("token", event(method, "/oauth/2.0/token", query=query, headers=headers, body=body))


def refused(answer: dict[str, Any], status: int, error: str) -> str:
    """The description of a refusal in the form that every SDK takes for one."""
    assert answer["statusCode"] == status
    body = json.loads(answer["body"])
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error
    return str(body["error_description"])


class TestGrant:
    @pytest.mark.parametrize("style", STYLES)
    def test_every_style(self, memory: Ports, alice: Caller, style: str) -> None:
        answer = said(ask(*STYLES[style]))
        assert "brain_all_scope" in answer["scope"].split(" ")
        assert answer["expires_in"] == 2592000
        assert type(answer["expires_in"]) is int
        assert re.fullmatch(r"[A-Za-z0-9._~-]+", answer["access_token"])
        assert answer["access_token"].partition("-")[2] == alice.application.app_id
        assert access_tokens.verify(memory.applications, answer["access_token"], alice.now) is alice.application
        for name in ("refresh_token", "session_key", "session_secret"):
            assert isinstance(answer[name], str)

    @pytest.mark.usefixtures("memory")
    def test_can_be_read_as_python_and_is_not_stored_on_the_way(self) -> None:
        answer = ask("GET", urlencode(GRANT))
        assert ast.literal_eval(answer["body"]) == json.loads(answer["body"])
        assert answer["headers"]["cache-control"] == "no-store"

    @pytest.mark.usefixtures("memory")
    @pytest.mark.parametrize(
        ("change", "status", "error", "description"),
        [
            ({"client_id": "nobody"}, 401, "invalid_client", "unknown client id"),
            ({"client_secret": "wrong"}, 401, "invalid_client", "Client authentication failed"),
            ({"client_secret": "bob-secret"}, 401, "invalid_client", "Client authentication failed"),
            ({"client_secret": "密"}, 401, "invalid_client", "Client authentication failed"),
            ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type", None),
            ({"grant_type": ""}, 400, "invalid_request", None),
            ({"client_id": ""}, 400, "invalid_request", None),
            ({"client_secret": ""}, 400, "invalid_request", None),
            ({"client_id": b"\xff\xff"}, 400, "invalid_request", None),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_refusals(
        self, method: str, change: dict[str, Any], status: int, error: str, description: str | None
    ) -> None:
        sent = urlencode(GRANT | change)
        answer = ask("GET", sent) if method == "GET" else ask("POST", "", {"content-type": FORM}, sent.encode())
        assert refused(answer, status, error) == description or description is None

    @pytest.mark.usefixtures("memory")
    def test_nothing_at_all_and_nothing_readable(self) -> None:
        for answer in (ask(), ask("POST"), ask("POST", "", {"content-type": "application/json"}, b"{")):
            refused(answer, 400, "invalid_request")
        broken = {**event("POST", "/oauth/2.0/token"), "body": "!"}
        refused(handle("token", broken), 400, "invalid_request")

    @pytest.mark.usefixtures("memory")
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
    def test_other_methods_and_paths(self, method: str) -> None:
        refused(ask(method, urlencode(GRANT)), 400, "invalid_request")
        for path in ("/oauth/2.0/token", "/oauth/2.0/token/", "/oauth/3.0/token"):
            refused(handle("unknown", event(method, path, query=urlencode(GRANT))), 400, "invalid_request")

    def test_a_disabled_application_gets_none(self, memory: Ports, alice: Caller) -> None:
        memory.applications.save_application(replace(alice.application, active=False))
        assert refused(ask("GET", urlencode(GRANT)), 401, "invalid_client") == "Client authentication failed"

    def test_our_own_failure_is_one_that_clients_repeat(self, memory: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_key: str) -> None:
            raise Unavailable("down")

        monkeypatch.setattr(memory.applications, "application", fail)
        refused(ask("GET", urlencode(GRANT)), 500, "server_error")


def search(query: str, headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    body = form(image=picture(1), **fields)
    path = f"{PATHS['similar']}/search"
    return said(
        handle("search", event("POST", path, query=query, headers={"content-type": FORM, **(headers or {})}, body=body))
    )


@pytest.mark.usefixtures("memory")
class TestTokenOnCalls:
    @pytest.mark.parametrize(
        "query",
        [
            "access_token={}&aipSdk=python&aipVersion=4.15.13",
            "aipSdk=php&aipSdkVersion=2_2_17&access_token={}",
            "aipSdk=node&access_token={}?aipSdk=node",
            "aipSdk=node&access_token={}%3FaipSdk=node",
            "access_token={}&access_token=second",
            "&&aipSdk&access_token={}&",
        ],
    )
    def test_in_the_query(self, alice: Caller, query: str) -> None:
        assert search(query.format(alice.token))["result"] == []

    @pytest.mark.parametrize("query", ["", "access_token=", "aipSdk=java"])
    def test_in_the_body(self, alice: Caller, query: str) -> None:
        assert search(query, access_token=alice.token)["result"] == []

    def test_the_querys_comes_first(self, alice: Caller) -> None:
        assert search(f"access_token={alice.token}", access_token="rubbish")["result"] == []
        assert search("access_token=rubbish", access_token=alice.token)["error_code"] == 110

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "access_token=",
            "access_token",
            "access_token=rubbish",
            "access_token=%00%ff%ff",
            # What the PHP SDK has kept on disk since it spoke to the vendor:
            "access_token=24.f9ba9c5241b67688bb4adbed8bc91dec.2592000.1485570332.282335-8574074",
            "Access_Token={}",
        ],
    )
    def test_what_is_no_token_of_ours(self, alice: Caller, query: str) -> None:
        expected = {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}
        assert search(query.format(alice.token)) == expected

    def test_with_a_body_that_cannot_be_read(self) -> None:
        path = f"{PATHS['similar']}/search"
        for sent in (
            event("POST", path, headers={"content-type": "application/json"}, body=b"{"),
            {**event("POST", path), "body": "!"},
        ):
            assert said(handle("search", sent))["error_code"] == 110

    def test_a_new_secret_revokes_it(self, memory: Ports, alice: Caller) -> None:
        token = alice.token
        memory.applications.save_application(replace(alice.application, secret_key="new"))
        assert search(f"access_token={token}")["error_code"] == 110

    def test_past_its_life(self, alice: Caller, clock: SetClock) -> None:
        token = alice.token
        clock.now += (access_tokens.LIFETIME + access_tokens.GRACE) * 1000
        assert search(f"access_token={token}")["result"] == []
        clock.now += 1000
        assert search(f"access_token={token}") == {"error_code": 111, "error_msg": "Access token expired"}

    def test_of_a_disabled_application(self, memory: Ports, alice: Caller) -> None:
        memory.applications.save_application(replace(alice.application, active=False))
        expected = {"error_code": 6, "error_msg": "No permission to access data"}
        assert search(f"access_token={alice.token}") == expected

    @pytest.mark.parametrize("authorization", ["Basic eDp5", "Bearer x", ""])
    def test_other_authorizations_do_not_matter(self, alice: Caller, authorization: str) -> None:
        assert search(f"access_token={alice.token}", {"authorization": authorization})["result"] == []


def signed(secret: str, path: str, **headers: str) -> dict[str, Any]:
    """What the vendor's own SDK sends when it signs, by its own code."""
    from aip import AipImageSearch  # noqa: PLC0415

    sdk = AipImageSearch("1", "alice-access", secret)
    sdk._isCloudUser = True
    made = sdk._getAuthHeaders("POST", f"https://example.com:8443{path}", {"aipSdk": "python", "aipVersion": "4.15.13"})
    sent = event(
        "POST",
        path,
        query="aipVersion=4.15.13&aipSdk=python",
        headers={**made, "content-type": FORM, **headers},
        body=form(image=picture(1)),
    )
    return said(handle("search", sent))


class TestSignatureOnCalls:
    PATH = f"{PATHS['similar']}/search"

    @pytest.fixture(autouse=True)
    def real_time(self, memory: Ports, clock: SetClock) -> None:
        """The SDK signs with the machine's clock."""
        from lookalike.ports.clock import unix_milliseconds  # noqa: PLC0415

        clock.now = unix_milliseconds()

    @pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
    def test_of_the_python_sdk(self, memory: Ports, alice: Caller, clock: SetClock) -> None:
        assert signed("alice-secret", self.PATH)["result"] == []
        assert signed("alice-secret", self.PATH, host="example.com:8443")["result"] == []
        refusal = {"error_code": 14, "error_msg": "IAM Certification failed"}
        assert signed("wrong", self.PATH) == refusal
        assert signed("alice-secret", self.PATH, host="other.example") == refusal
        memory.applications.save_application(replace(alice.application, active=False))
        assert signed("alice-secret", self.PATH)["error_code"] == 6
        clock.now += 24 * 3600 * 1000
        assert signed("alice-secret", self.PATH) == refusal

    def test_a_bad_one_is_not_healed_by_a_token(self, alice: Caller, clock: SetClock) -> None:
        token = replace(alice, now=clock.now // 1000).token
        assert search(f"access_token={token}", {"authorization": "bce-auth-v1/x"})["error_code"] == 14


class TestUnknownPaths:
    @pytest.mark.usefixtures("memory")
    @pytest.mark.parametrize(
        "path",
        ["/rest/2.0/face/v3/detect", "/rpc/2.0/feedback/v1/report", "/rest/", "/rpc/%ff/%0A", "//rest/2.0/face"],
    )
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
    def test_first_who_then_what(self, alice: Caller, method: str, path: str) -> None:
        assert said(handle("unknown", event(method, path)))["error_code"] == 110
        bad = {"authorization": "bce-auth-v1/x"}
        assert said(handle("unknown", event(method, path, headers=bad)))["error_code"] == 14
        known = event(method, path, query=f"access_token={alice.token}")
        assert said(handle("unknown", known)) == {"error_code": 3, "error_msg": "Unsupported openapi method"}

    @pytest.mark.usefixtures("memory")
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("library", ["picturebook", "materiel", "same", "SIMILAR", "similar;", "%2E%2E"])
    def test_libraries_there_are_none_of(self, alice: Caller, library: str, operation: str) -> None:
        for place in ("", "image-classify/v1/", "imagesearch/v1/"):
            path = f"/rest/2.0/{place}realtime_search/{library}/{operation}"
            query = f"access_token={alice.token}"
            assert said(handle(operation, event("POST", path, query=query)))["error_code"] == 3
            assert said(handle(operation, event("POST", path)))["error_code"] == 110

    @pytest.mark.usefixtures("memory")
    @pytest.mark.parametrize("library", PATHS)
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_wrong_methods_and_operations(self, alice: Caller, library: str, operation: str) -> None:
        query = f"access_token={alice.token}"
        for function in (operation, "unknown"):
            path = f"{PATHS[library]}/{operation}"
            assert said(handle(function, event("GET", path, query=query)))["error_code"] == 3
            assert said(handle(function, event("POST", path + "/", query=query)))["error_code"] == 3
            assert said(handle(function, event("POST", f"{PATHS[library]}/list", query=query)))["error_code"] == 3

    @pytest.mark.usefixtures("memory")
    @pytest.mark.parametrize("path", ["/", "/favicon.ico", "/restless", "/oauth", "/%2Frest/2.0"])
    def test_paths_of_nobody(self, path: str) -> None:
        for function in (*OPERATIONS, "token", "unknown"):
            answer = handle(function, event("GET", path))
            assert answer["statusCode"] == 404
            assert json.loads(answer["body"]) == {"message": "Not Found"}

    @pytest.mark.usefixtures("memory")
    @pytest.mark.parametrize("library", PATHS)
    def test_every_library_is_found_in_every_place(self, alice: Caller, library: str) -> None:
        for place in ("", "image-classify/v1/", "imagesearch/v1/"):
            path = f"/rest/2.0/{place}realtime_search/{library}/search"
            sent = event("POST", path, query=f"access_token={alice.token}", body=form(image=picture(1)), stage="prod")
            assert said(handle("search", sent))["result"] == []


@pytest.mark.usefixtures("memory")
def test_no_secret_is_logged(alice: Caller, log_lines: Callable[[], list[dict[str, Any]]]) -> None:
    token = said(ask("GET", urlencode(GRANT)))["access_token"]
    search(f"access_token={token}")
    search("access_token=", access_token=token)
    search("", {"authorization": "bce-auth-v1/alice-access/2026-01-02T03:04:05Z/1800/host/0123456789abcdef"})
    handle("unknown", event("POST", f"/rest/access_token={token}"))
    handle("add", event("POST", f"/rest/2.0/realtime_search/{token}/add"))
    written = json.dumps(log_lines())
    assert written.count('"answered"') == 6
    for secret in (token, "alice-secret", "bce-auth", "0123456789abcdef", form(image=picture(1)).decode()[6:60]):
        assert secret not in written
