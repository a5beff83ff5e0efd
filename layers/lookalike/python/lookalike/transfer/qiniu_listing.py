"""Pictures of a Qiniu image group: its list of ids, labels and descriptions, as a table that an import reads.

The vendor lists what it knows of pictures and hands out no picture, so these come from the customer's own store.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from lookalike.errors import InvalidArgument
from lookalike.transfer.folder import files_of
from lookalike.transfer.rows import SourceError

#: The vendor's address.
ADDRESS = "http://ai.qiniuapi.com"

#: Pictures of a page of the list, as many as the vendor allows.
_PAGE = 1000

#: Attempts at a page, and seconds between them.
_ATTEMPTS, _PAUSE_SECONDS = 5, 2.0

#: Seconds that a page may take.
_TIMEOUT = 60.0

#: Calls the vendor: method and path to status and body.
Call = Callable[[str, str], tuple[int, bytes]]


def caller(url: str, key: str) -> Call:
    """Return what calls the vendor with signed requests. ``key``: access key and secret key, parted by a colon."""
    parts = urlsplit(url)
    access_key, colon, secret = key.strip().partition(":")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidArgument("--vendor-url", f"{url} is not http:// or https:// and a host")
    if not (access_key and colon and secret):
        raise InvalidArgument("--vendor-key", "name the vendor's keys: ACCESS_KEY:SECRET_KEY")
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection

    def call(method: str, path: str) -> tuple[int, bytes]:
        said = f"{method} {path}\nHost: {parts.netloc}\n\n".encode()
        sign = base64.urlsafe_b64encode(hmac.new(secret.encode(), said, hashlib.sha1).digest()).decode()
        connection = connect(parts.netloc, timeout=_TIMEOUT)
        try:
            connection.request(method, path, headers={"authorization": f"Qiniu {access_key}:{sign}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return call


def write_listing(call: Call, group: str, pictures: str, table: Path) -> int:
    """Write a group's pictures to a table in JSON Lines; return their number.

    ``pictures`` says where they are: a URL with ``{id}`` in it, or a folder of files named by their ids. A table that is
    there is complete, and stays. Raises SourceError, or InvalidArgument for a place without pictures.
    """
    if table.exists():
        with table.open("rb") as file:
            return sum(1 for _ in file)
    places = _places(pictures)
    part = table.with_name(f"{table.name}.part")
    rows = 0
    with part.open("w", encoding="utf-8") as file:
        for picture in _listed(call, group):
            said = {"id": picture["id"], **places(str(picture["id"]))}
            value = picture.get("value") or picture
            said.update({name: value[name] for name in ("label", "desc") if value.get(name) not in (None, "")})
            file.write(json.dumps(said, ensure_ascii=False) + "\n")
            rows += 1
        file.flush()
        os.fsync(file.fileno())
    if not rows:
        part.unlink()
        raise SourceError(f"the group {group} has no pictures")
    part.replace(table)
    return rows


def _listed(call: Call, group: str) -> Iterator[Mapping[str, Any]]:
    marker = ""
    while True:
        following = f"&marker={quote(marker, safe='')}" if marker else ""
        page = _page(call, f"/v1/image/group/{quote(group, safe='')}?limit={_PAGE}{following}")
        yield from page.get("result") or ()
        if not page.get("marker") or page["marker"] == marker:
            return
        marker = str(page["marker"])


def _page(call: Call, path: str) -> Mapping[str, Any]:
    said = ""
    for attempt in range(_ATTEMPTS):
        try:
            status, body = call("GET", path)
        except (OSError, http.client.HTTPException) as error:
            said = f"{type(error).__name__}: {error}"
        else:
            said = f"HTTP {status}: {body[:200].decode(errors='replace')}"
            if status == 200:
                return _object_of(body)
            if status < 500 and status != 429:
                break
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_PAUSE_SECONDS)
    raise SourceError(f"the vendor does not list the group: {said}")


def _object_of(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise SourceError(f"the vendor's list is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise SourceError("the vendor's list is no object of JSON")
    return found


def _places(pictures: str) -> Callable[[str], Mapping[str, str]]:
    """Return what says where the picture of an id is. Raises InvalidArgument."""
    if "{id}" in pictures:
        return lambda id_: {"url": pictures.replace("{id}", quote(id_, safe="/"))}
    folder = Path(pictures)
    if not folder.is_dir():
        raise InvalidArgument("source", f"{pictures}: neither a folder nor a URL with {{id}} in it")
    files: dict[str, str] = {}
    for file in files_of(folder):
        name = file.relative_to(folder).as_posix()
        files.setdefault(name.rpartition(".")[0] or name, name)
        files[name] = name
    return lambda id_: {"file": str(folder.resolve() / files.get(id_, id_))}
