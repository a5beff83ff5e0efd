"""A caller of the Baidu dialect for tests: events as API Gateway sends them, to the functions' own handlers."""

from __future__ import annotations

import base64
import importlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
from PIL import Image

from lookalike.domain.application import Application
from lookalike.wire.baidu import access_tokens

HOST = "example.com"
FORM = "application/x-www-form-urlencoded"

PATHS = {
    "same_hq": "/rest/2.0/realtime_search/same_hq",
    "similar": "/rest/2.0/image-classify/v1/realtime_search/similar",
    "product": "/rest/2.0/image-classify/v1/realtime_search/product",
}
OPERATIONS = ("add", "search", "update", "delete")


def event(
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    stage: str = "$default",
) -> dict[str, Any]:
    """A payload-2.0 event, its body in base64 as the gateway sends every form."""
    prefix = "" if stage == "$default" else f"/{stage}"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": prefix + path,
        "rawQueryString": query,
        "headers": {"host": HOST, **{name.lower(): value for name, value in (headers or {}).items()}},
        "requestContext": {
            "requestId": "request-1",
            "stage": stage,
            "http": {"method": method, "path": prefix + path, "sourceIp": "203.0.113.9"},
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def handle(function: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """What the function's handler answers."""
    answer: dict[str, Any] = importlib.import_module(f"functions.{function}.app").handler(sent, None)
    json.dumps(answer)  # what cannot become JSON never reaches the gateway
    return answer


def said(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The body of an answer that is HTTP 200, JSON and pure ASCII, as every answer on a library is."""
    assert answer["statusCode"] == 200, answer
    assert answer["headers"]["content-type"] == "application/json"
    assert answer["body"].isascii()
    body: dict[str, Any] = json.loads(answer["body"])
    if "error_code" in body:
        assert type(body["error_code"]) is int
        assert isinstance(body["error_msg"], str)
        assert ("log_id" in body) == (body["error_code"] >= 216000)
    if "log_id" in body:
        assert type(body["log_id"]) is int
        assert 0 <= body["log_id"] < 2**53
    return body


@dataclass(frozen=True, slots=True)
class Caller:
    """One application's program."""

    application: Application
    now: int = 1_767_323_045  # 2026-01-02T03:04:05Z

    @property
    def token(self) -> str:
        return access_tokens.mint(self.application, self.now)

    def call(self, library: str, operation: str, /, **fields: Any) -> dict[str, Any]:
        """Post a form; bytes are a picture and go as base64."""
        return self.post(library, operation, form(**fields))

    def post(
        self, library: str, operation: str, body: bytes, content_type: str | None = FORM, query: str | None = None
    ) -> dict[str, Any]:
        """Post any body, with this application's token in the query unless ``query`` is given."""
        headers = {} if content_type is None else {"content-type": content_type}
        query = f"access_token={self.token}" if query is None else query
        path = f"{PATHS[library]}/{operation}"
        return said(handle(operation, event("POST", path, query=query, headers=headers, body=body)))

    def add(self, library: str, file: bytes, brief: str = "brief", **fields: Any) -> str:
        """Add a picture; its sign."""
        answer = self.call(library, "add", image=file, brief=brief, **fields)
        assert "error_code" not in answer, answer
        return str(answer["cont_sign"])

    def briefs(self, library: str, file: bytes, **fields: Any) -> list[str]:
        """What a search finds."""
        return [one["brief"] for one in self.call(library, "search", image=file, **fields)["result"]]


def form(**fields: Any) -> bytes:
    """A form as the SDKs send it."""
    pairs = {name: base64.b64encode(value) if isinstance(value, bytes) else value for name, value in fields.items()}
    return urlencode(pairs, quote_via=quote).encode()


def picture(seed: int, kind: str = "PNG", size: tuple[int, int] = (32, 24)) -> bytes:
    """A picture file that shows coloured patches; every seed shows something else."""
    patches = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(patches).resize(size, Image.Resampling.NEAREST).save(file, kind)
    return file.getvalue()
