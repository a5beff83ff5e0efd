"""A caller of the Jumdata dialect for tests: events as API Gateway sends them, to the functions' own handlers."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from lookalike.domain.application import Application
from tests.support.baidu import FORM, event, handle

PLACE = "/image/similarity/v2"
FUNCTIONS = {"input": "add", "search": "search", "delete": "delete"}


def signed(app_id: str, secret: str, timestamp: str) -> str:
    """The vendor's formula."""
    return hashlib.sha256(f"{app_id}{secret}{timestamp}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Client:
    """One application's program."""

    application: Application
    now: int = 1_767_323_045_000

    def common(self) -> dict[str, str]:
        """The fields that every call has."""
        timestamp = str(self.now)
        app_id = self.application.app_id
        return {
            "appId": app_id,
            "timestamp": timestamp,
            "sign": signed(app_id, self.application.secret_key, timestamp),
        }

    def call(self, operation: str, /, **fields: Any) -> dict[str, Any]:
        """Post a form with the common fields; bytes are a picture and go as base64; None takes a field away."""
        given = {name: value for name, value in {**self.common(), **fields}.items() if value is not None}
        pairs = {name: base64.b64encode(one) if isinstance(one, bytes) else one for name, one in given.items()}
        return self.post(operation, urlencode(pairs).encode())

    def post(self, operation: str, body: bytes, content_type: str = FORM, query: str = "") -> dict[str, Any]:
        """Post any body. Whatever comes back is HTTP 200 and JSON of ASCII alone."""
        path = f"{PLACE}/{operation}"
        sent = event("POST", path, query=query, headers={"content-type": content_type}, body=body)
        answer = handle(FUNCTIONS.get(operation, "unknown"), sent)
        assert answer["statusCode"] == 200, answer
        assert answer["headers"]["content-type"] == "application/json"
        assert answer["body"].isascii()
        said: dict[str, Any] = json.loads(answer["body"])
        assert type(said["code"]) is int
        return said

    def input(self, file: bytes, **fields: Any) -> str:
        """Add a picture; its sign."""
        answer = self.call("input", base64=file, **fields)
        assert answer["code"] == 200, answer
        return str(answer["data"]["contSign"])

    def found(self, file: bytes, **fields: Any) -> list[str]:
        """What a search finds, by description."""
        return [one["brief"] for one in self.call("search", base64=file, **fields)["data"].get("result", [])]
