"""A caller of the Qiniu dialect for tests: signed events, routed as the gateway routes them, to the functions' handlers."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.domain.application import Application
from lookalike.server import sam_template
from tests.support.baidu import HOST, event, handle

JSON = "application/json"
GROUP = "/v1/image/group"
ROUTES = sam_template.read()


def sign(secret: str, said: str | bytes) -> str:
    """The sign over that text."""
    data = said.encode() if isinstance(said, str) else said
    return base64.urlsafe_b64encode(hmac.new(secret.encode(), data, hashlib.sha1).digest()).decode()


def uri(picture: bytes, head: str = "data:application/octet-stream;base64,") -> str:
    """The picture as the vendor's clients send it within a request."""
    return head + base64.b64encode(picture).decode()


def one(picture: bytes | str, **attribute: Any) -> dict[str, Any]:
    """An element of a list of pictures to be added."""
    return {"uri": picture if isinstance(picture, str) else uri(picture), "attribute": attribute}


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back, and that it is what every answer of the dialect is."""

    status: int
    body: Any

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Answered:
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        assert headers["x-reqid"]
        assert headers["content-type"] == JSON
        body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        assert (headers.get("content-encoding") == "gzip") == answer["isBase64Encoded"]
        said = json.loads(gzip.decompress(body) if answer["isBase64Encoded"] else body)
        if answer["statusCode"] != 200:
            assert set(said) - {"error_code"} == {"error", "errno", "code", "message"}
            assert said["error"] == said["message"]
            assert said["errno"] == said["code"]
            assert str(said["errno"]).startswith(str(answer["statusCode"]))
        return cls(answer["statusCode"], said)

    @property
    def error(self) -> tuple[int, int, str]:
        """Status, code and message of an error."""
        assert self.status != 200, self
        return self.status, self.body["errno"], self.body["error"]


@dataclass(frozen=True, slots=True)
class GroupCaller:
    """One application's program."""

    application: Application
    gzip: bool = False

    def call(self, method: str, target: str, body: Any = None) -> Answered:
        """A signed request; ``body`` is JSON unless it is bytes."""
        return Answered.of(self.raw(method, target, body))

    def raw(self, method: str, target: str, body: Any = None) -> dict[str, Any]:
        """The same, and what the handler hands back to the gateway."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path, _, query = target.partition("?")
        kind = f"\nContent-Type: {JSON}" if method == "POST" else ""
        said = f"{method} {target}\nHost: {HOST}{kind}\n\n".encode() + (data if kind else b"")
        headers = {"authorization": f"Qiniu {self.application.access_key}:{sign(self.application.secret_key, said)}"}
        if kind:
            headers["content-type"] = JSON
        if self.gzip:
            headers["accept-encoding"] = "gzip, deflate"
        function = ROUTES.function_for(method, path)
        assert function is not None
        return handle(function, event(method, path, query=query, headers=headers, body=data))

    def post(self, target: str, body: Any = None) -> Answered:
        """POST under the groups' path."""
        return self.call("POST", GROUP + target, body)

    def get(self, target: str = "") -> Answered:
        """GET under the groups' path."""
        return self.call("GET", GROUP + target)

    def new(self, group: str, *elements: Mapping[str, Any]) -> list[str]:
        """Make a group of these pictures; their ids."""
        return self._added(f"/{group}/new", elements)

    def add(self, group: str, *elements: Mapping[str, Any]) -> list[str]:
        """Add these pictures; their ids."""
        return self._added(f"/{group}/add", elements)

    def _added(self, target: str, elements: Sequence[Mapping[str, Any]]) -> list[str]:
        answer = self.post(target, {"data": list(elements)})
        assert answer.status == 200, answer
        assert answer.body["errors"] == [None] * len(elements)
        images: list[str] = answer.body["images"]
        return images

    def search(self, groups: Sequence[str], picture: bytes, **params: Any) -> Answered:
        """Search in these groups."""
        body = {"data": {"uri": uri(picture)}, "params": {"groups": list(groups), **params}}
        return self.call("POST", "/v1/image/groups/search", body)

    def found(self, groups: Sequence[str], picture: bytes, limit: int = -1, **params: Any) -> list[str]:
        """The ids of what a search finds."""
        answer = self.search(groups, picture, limit=limit, **params)
        assert answer.status == 200, answer
        return [match["id"] for match in answer.body["result"]]

    def listed(self, group: str, limit: int | None = None) -> list[str]:
        """The ids of a whole group, page by page."""
        ids, marker = [], ""
        while True:
            answer = self.get(f"/{group}?marker={marker}" + ("" if limit is None else f"&limit={limit}"))
            assert answer.status == 200, answer
            ids += [picture["id"] for picture in answer.body["result"]]
            marker = answer.body["marker"]
            if not marker:
                return ids
