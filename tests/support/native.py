"""A caller of the native API for tests: events as API Gateway sends them, to the function that the template names."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from lookalike.domain.application import Application
from lookalike.server import sam_template
from lookalike.wire.native import picture_path
from tests.support.baidu import event, handle

BASE = "/api/v1"


@cache
def _template() -> sam_template.Template:
    return sam_template.read()


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: its status, its headers, its body, and the cookies that it sets."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def etag(self) -> str:
        return self.headers["etag"]


@dataclass(frozen=True, slots=True)
class NativeCaller:
    """One application's program; without an application, nobody's."""

    application: Application | None = None
    address: str = "203.0.113.9"

    def call(
        self,
        method: str,
        path: str,
        said: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Sequence[str] = (),
        **query: Any,
    ) -> Answered:
        """Call a path below /api/v1; ``said`` goes as JSON, ``body`` as it is, ``cookies`` are name=value."""
        sent = {"content-type": "application/json", **self._authorization(), **(headers or {})}
        data = body if body is not None else b"" if said is None else json.dumps(said).encode()
        function = _template().function_for(method, BASE + path)
        assert function is not None
        name = function.removesuffix("Function").lower()
        sending = {**event(method, BASE + path, query=urlencode(query), headers=sent, body=data), "cookies": [*cookies]}
        sending["requestContext"]["http"]["sourceIp"] = self.address
        answer = handle(name, sending)
        text = answer["body"]
        content = base64.b64decode(text) if answer["isBase64Encoded"] else text.encode()
        return Answered(answer["statusCode"], answer["headers"], content, tuple(answer.get("cookies", ())))

    def _authorization(self) -> Mapping[str, str]:
        if self.application is None:
            return {}
        keys = f"{self.application.access_key}:{self.application.secret_key}"
        return {"authorization": f"Basic {base64.b64encode(keys.encode()).decode()}"}

    def library(self, name: str = "shop", **said: Any) -> str:
        """Make a library; its name."""
        assert self.call("PUT", f"/libraries/{name}", said).status == 201
        return name

    def put(self, library: str, id_: str, file: bytes, **said: Any) -> Answered:
        """Put a picture by its id."""
        return self.call("PUT", self.path(library, id_), {"image": image(file), **said})

    def add(self, library: str, file: bytes, **said: Any) -> Answered:
        """Add a picture."""
        return self.call("POST", f"/libraries/{library}/pictures", {"image": image(file), **said})

    def search(self, library: str, file: bytes, **said: Any) -> Any:
        """What a search answers."""
        found = self.call("POST", f"/libraries/{library}/search", {"image": image(file), **said})
        assert found.status == 200, found.body
        return found.json

    def ids(self, library: str, file: bytes, **said: Any) -> list[str]:
        """Ids of what a search finds."""
        return [match["id"] for match in self.search(library, file, **said)["matches"]]

    @staticmethod
    def path(library: str, id_: str) -> str:
        """Path of a picture below /api/v1."""
        return picture_path.of(library, id_).removeprefix(BASE)


def image(file: bytes) -> dict[str, str]:
    """A picture in a request."""
    return {"base64": base64.b64encode(file).decode()}


def problem(answer: Answered, status: int, code: str) -> Any:
    """The problem that is answered, which has that status and that code."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json
    assert (said["status"], said["code"]) == (status, code), said
    assert said["type"] == f"/api/v1/problems#{code}"
    assert said["request"] == answer.headers["x-request"]
    return said


def form(fields: dict[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart body, and its headers."""
    parts = (
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
        for name, value in fields.items()
    )
    return b"".join(parts) + b"--x--\r\n", {"content-type": "multipart/form-data; boundary=x"}
