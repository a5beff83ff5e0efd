"""An import into a running service, over its API's bulk call."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast
from urllib.parse import quote

import msgspec
from msgspec import UNSET

from lookalike.domain.application import Permission
from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Decoded, is_same_sign
from lookalike.errors import InvalidArgument, LibraryFull, LookalikeError
from lookalike.imaging.decode import FORMATS, Bounds, decode
from lookalike.service.capacity import ApplicationFull
from lookalike.service.libraries import RESERVED_LIBRARIES
from lookalike.service.permissions import NotPermitted, require
from lookalike.service.staging import MAX_BYTES
from lookalike.transfer import estimate
from lookalike.transfer.api_client import ApiClient
from lookalike.transfer.api_lookup import PASSING, ApiLookup, Image, checked, hidden, reason_said
from lookalike.transfer.files import Arrived, arrived
from lookalike.transfer.journal import Entry
from lookalike.transfer.outcomes import Outcome, Result, Totals
from lookalike.transfer.rows import Row
from lookalike.transfer.target import (
    NotShown,
    OnDuplicate,
    TargetError,
    Wanted,
    Work,
    check_said,
    full,
    is_same,
    of_existing,
    reason_of,
    said_of,
)
from lookalike.transfer.trial import Trial, of_twin, picture_key
from lookalike.wire.native import limits
from lookalike.wire.native.bulk import CONTENT_TYPE
from lookalike.wire.native.requests import MetadataGiven, RowGiven

#: Bytes of a bulk call's body. One machine takes 10 MB, and Lambda 6 MB of event, in which it stands in base64.
_MAX_BODY = 4_000_000

#: Bytes of a picture whose row fills such a body; a larger one is sent ahead.
_MAX_FILE = (_MAX_BODY - 16_384) // 4 * 3

#: Rows of a bulk call: they are done well within its 25 seconds.
_MAX_ROWS = 64

#: Times that rows which a call did not reach, or could not do just then, are sent again.
_MAX_REPEATS = 8

#: Codes of answers that say that there is no room for another picture.
_FULL = {"library_full": LibraryFull, "application_full": ApplicationFull}

#: Codes of rows whose file, sent ahead, was used by a call that nobody has heard the answer of, or came too late.
_SEND_AGAIN = frozenset({"upload_used", "upload_not_found", "upload_missing", "upload_expired"})

_BOUNDS = Bounds(
    max_bytes=MAX_BYTES,
    min_side=1,
    max_side=limits.MAX_SIDE,
    max_pixels=limits.MAX_SIDE * limits.MAX_SIDE,
    formats=FORMATS,
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of a bulk call; ``file`` is None for a URL, which the service downloads.

    The text of a row whose file is sent ahead is made when that is done, for each call anew.
    """

    work: Work
    text: bytes = field(repr=False)
    file: Arrived | None = field(default=None, repr=False)

    @property
    def ahead(self) -> bool:
        """Whether its file is too large for a call."""
        return self.file is not None and len(self.file.data) > _MAX_FILE


class ApiTarget:
    """A library of a running service. It is made if there is none, unless ``make`` is false.

    The key has to have ``add``, and ``groups`` to make a library. The rest is used where it is there: to look at pictures
    (``search``) or to list them (``groups``) proves what was added, and ``update`` changes what is said of pictures.

    Raises InvalidArgument for keys that the service does not know, a name that no library may have, or a library of
    another kind, or changes that the key may not make, and TargetError if it does not answer.
    """

    rows_per_call = _MAX_ROWS

    def __init__(self, client: ApiClient, wanted: Wanted, *, make: bool = True) -> None:
        self._client = client
        self._wanted = wanted
        self._path = f"/libraries/{quote(wanted.library, safe='')}"
        found = client.call("GET", self._path)
        if found.status == 404 and found.json.get("code") == "library_not_found":
            wanted.check_made()
            said = self._made() if make else {}
        else:
            said = checked(found)
            wanted.check_kind(str(said["kind"]), str(said["identity"]))
        self._name = f"{said.get('name', '')} {said.get('created', '')}"
        self._there = bool(said)
        self._lookup = ApiLookup(client, self._path, there=self._there)
        if wanted.on_duplicate is OnDuplicate.UPDATE:
            self._require_update()
        own = Identity.PICTURE if wanted.library in RESERVED_LIBRARIES else Identity.OWN
        self._identity = Identity(str(said.get("identity", own)))
        self._ref = LibraryRef(
            "", wanted.library, Kind(str(said.get("kind", wanted.kind or Kind.SAME))), self._identity
        )
        self._sampler = estimate.Sampler(time.monotonic)
        self._unknown = ""  # why the server's time is not
        self._trial = Trial()

    def _made(self) -> Mapping[str, object]:
        said = {"kind": self._wanted.kind, "identity": self._wanted.identity, "capacity": self._wanted.capacity}
        known = {name: value for name, value in said.items() if value is not None}
        made = self._client.call("PUT", self._path, json.dumps(known).encode())
        if made.is_not_permitted:
            raise InvalidArgument("--library", f"there is no library {self._wanted.library}, and {made.problem}")
        return checked(made)

    def _require_update(self) -> None:
        """Raise InvalidArgument if the key may not change pictures: no row that is there could be done."""
        try:
            require(self._lookup.caller, Permission.UPDATE)
        except NotPermitted as error:
            raise InvalidArgument("--on-duplicate", f"update: {error.problem.format(error)}; {error.remedy}") from error

    @property
    def name(self) -> str:
        """The library's name, and when it was made."""
        return self._name

    @property
    def identity(self) -> Identity:
        """What identifies pictures there."""
        return self._identity

    def tell(self, totals: Totals) -> None:
        """Tell the service how far the import is."""
        self._client.tell(totals.rows, totals.done)

    def put(self, works: Iterable[Work]) -> Iterable[tuple[Entry, Result]]:
        """Send the rows, in as few calls as they fit."""
        lines: list[_Line] = []
        size = 0
        for work in works:
            line = self._line(work)
            if isinstance(line, Result):
                yield work.entry, line
                continue
            if line.ahead:
                yield from self._sent([line])
                continue
            if size + len(line.text) > _MAX_BODY and lines:
                yield from self._sent(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line.text)
        yield from self._sent(lines)

    def try_out(self, works: Iterable[Work]) -> Iterable[tuple[Entry, Result]]:
        """Load and check the rows here, and ask whether the library holds their pictures."""
        for work in works:
            line = self._line(work)
            yield work.entry, line if isinstance(line, Result) else self._tried(line)

    def estimate(self, rows: int, trial_seconds: float) -> Sequence[str]:
        """Return how long the server takes at most, as a few pictures have shown that it was asked for one by one."""
        unseen = (
            [f"which pictures the library holds is not known: {self._lookup.unseen}"] if self._lookup.unseen else []
        )
        if not rows:
            return unseen
        if not self._sampler.seconds:
            unknown = self._unknown or "no file was there to try it with"
            return [*unseen, f"how long the server takes is not known: {unknown}"]
        return [*unseen, *estimate.lines_of_server(rows, self._sampler.seconds)]

    def holds(self, id_: str) -> bool:
        """Whether the library holds a picture of that id."""
        found = self._client.call("GET", self._lookup.path_of(id_))
        if found.status in (200, 404, 409):
            return found.status != 404
        raise hidden(found) if found.is_not_permitted else TargetError(found.problem)

    def ids(self) -> Iterator[str]:
        """Iterate over the ids of all live pictures."""
        after = ""
        while True:
            following = f"&after={after}" if after else ""
            found = self._client.call("GET", f"{self._path}/pictures?limit={limits.MAX_LISTED}{following}")
            if found.is_not_permitted:
                raise hidden(found)
            said = checked(found)
            yield from (str(one["id"]) for one in cast("list[dict[str, object]]", said["pictures"]))
            after = str(said.get("next", ""))
            if not after:
                return

    def close(self) -> None:
        """Leave connections to the end of their threads."""

    def _line(self, work: Work) -> _Line | Result:
        """Return a row as it is sent, or what becomes of it before that."""
        if work.row.fault:
            return Result(Outcome.REFUSED, "", work.row.fault)
        try:
            if work.row.url is not None:
                return _Line(work, self._text(work.row, url=work.row.url))
            file = arrived(work.row, _BOUNDS)
            small = file.data if len(file.data) <= _MAX_FILE else None
            return _Line(work, self._text(work.row, data=small), file)
        except LookalikeError as error:
            return Result(Outcome.REFUSED, "", reason_of(error))
        except OSError as error:
            return Result(Outcome.FAILED, "", f"{error.strerror or error}")

    def _text(self, row: Row, *, url: str | None = None, data: bytes | None = None, upload: str | None = None) -> bytes:
        said = said_of(row, self._identity)
        given = RowGiven(
            id=said.id,
            url=url,
            upload=upload,
            base64=None if data is None else base64.b64encode(data).decode(),
            brief=said.brief,
            tags=said.tags,
            label=said.label,
            desc=said.desc,
            old_cont_sign=said.old_cont_sign or UNSET,
        )
        return msgspec.json.encode(given) + b"\n"

    def _sent(self, lines: Sequence[_Line]) -> Iterator[tuple[Entry, Result]]:
        """Send the rows until each is done, or refused; those that the call does not reach are sent again."""
        for _ in range(_MAX_REPEATS):
            if not lines:
                return
            again: list[_Line] = []
            for line, said in zip(lines, self._bulk(lines), strict=True):
                if said["status"] == 503 or said.get("code") in _SEND_AGAIN:
                    again.append(line)
                else:
                    yield line.work.entry, self._result(line, said)
            lines = again
        for line in lines:
            yield line.work.entry, Result(Outcome.FAILED, "", "the service has no time for it", by_target=True)

    def _bulk(self, lines: Sequence[_Line]) -> Sequence[Mapping[str, object]]:
        body = b"".join(self._whole(line) for line in lines)
        answered = self._client.call("POST", f"{self._path}/bulk", body, CONTENT_TYPE)
        if answered.status != 200:
            if len(lines) == 1 and answered.status in (400, 413, 422):
                return [{"status": answered.status, "code": answered.json.get("code"), "detail": answered.problem}]
            raise TargetError(answered.problem)
        said = [json.loads(line) for line in answered.body.splitlines()]
        if len(said) != len(lines) + 1:
            raise TargetError(f"{len(said) - 1} rows were answered, of {len(lines)} that were sent")
        return said[:-1]

    def _whole(self, line: _Line) -> bytes:
        """Return the text of a row, once its file has been sent if that goes ahead."""
        if line.file is None or not line.ahead:
            return line.text
        return self._text(line.work.row, upload=self._client.send_file(line.file.data))

    def _result(self, line: _Line, said: Mapping[str, object]) -> Result:
        id_, code = str(said.get("id", "")), str(said.get("code", ""))
        if said["status"] == 201:
            return Result(Outcome.ADDED, id_)
        if said["status"] == 200 or code == "picture_exists":
            repaired = said.get("repaired") is True
            return self._existing(line, id_, differs=code == "picture_exists", repaired=repaired)
        if code in _FULL:
            raise full(self._wanted.library, _FULL[code](self._wanted.library))
        reason = reason_said(said)
        passing = code in PASSING or cast("int", said["status"]) >= 500
        return Result(Outcome.FAILED if passing else Outcome.REFUSED, "", reason, by_target=said["status"] == 500)

    def _tried(self, line: _Line) -> Result:
        said = said_of(line.work.row, self._identity)
        id_ = said.id or ""
        try:
            check_said(self._ref, said)
            decoded = None if line.file is None else decode(line.file.data, _BOUNDS)
            if line.file is not None:
                self._sample(line.file.data)
            if self._identity is Identity.PICTURE:
                return self._tried_picture(line, said, decoded)
        except TargetError:
            raise
        except LookalikeError as error:
            return Result(Outcome.REFUSED, "", reason_of(error))
        held = self._lookup.stored(id_)
        return Result(Outcome.ADDED, id_) if held is None else self._existing(line, id_, trying=True)

    def _tried_picture(self, line: _Line, said: MetadataGiven, decoded: Decoded | None) -> Result:
        """Return what would become of a row whose picture is its own id. Raises InvalidArgument or NotPermitted."""
        asked = self._lookup.held(decoded, lambda: self._image(line))
        if isinstance(asked, Result):
            return asked
        picture = f"url {line.work.row.url}" if decoded is None else picture_key(decoded)
        if asked is not None:
            picture = str(asked["digest"])
        named = self._lookup.stored(said.old_cont_sign) if said.old_cont_sign else None
        if named is not None and named["digest"] != picture:
            raise InvalidArgument("old_cont_sign", f"{said.old_cont_sign} names the picture {named['id']} already")
        before = self._trial.bring(line.work, picture, said)
        told = asked.get("old_cont_sign", "") if asked is not None else before.sign if before is not None else None
        if told is not None and said.old_cont_sign not in (None, told) and self._there:
            require(self._lookup.caller, Permission.UPDATE)
        if asked is not None:
            return self._existing(line, str(asked["id"]), trying=True)
        return Result(Outcome.ADDED) if before is None else of_twin(before, said, self._wanted.on_duplicate)

    def _image(self, line: _Line) -> Image:
        """Return a row's picture as a call names it; a large file is sent ahead."""
        if line.file is None:
            return {"url": line.work.row.url or ""}
        if line.ahead:
            return {"upload": self._client.send_file(line.file.data)}
        return {"base64": base64.b64encode(line.file.data).decode()}

    def _sample(self, data: bytes) -> None:
        """Have the server decode and embed one of the first pictures, which it does not keep, and measure it."""
        if not self._there:
            self._unknown = "the library is not there yet"
        elif not self._unknown and len(data) <= _MAX_FILE:
            body = json.dumps({"image": {"base64": base64.b64encode(data).decode()}}).encode()
            self._sampler.sample(lambda: self._asked(body))

    def _asked(self, body: bytes) -> None:
        answered = self._client.call("POST", f"{self._path}/check?nearest=false", body)
        if answered.status != 200:
            self._unknown = answered.problem
            raise estimate.NoSample

    def _existing(
        self, line: _Line, id_: str, *, trying: bool = False, differs: bool = False, repaired: bool = False
    ) -> Result:
        """Return what becomes of a row whose picture is there: as the service said it, if the key may not look at it."""
        found = self._client.call("GET", self._lookup.path_of(id_))
        if found.status == 409:  # another picture had its sign elsewhere: nothing can be said of either by it
            return Result(Outcome.REFUSED, id_, found.problem)
        held = {} if found.is_not_permitted else checked(found)
        on_duplicate, told = self._wanted.on_duplicate, str(held.get("old_cont_sign", ""))

        def same() -> bool:
            if self._identity is Identity.PICTURE or line.file is None:
                return True
            return is_same(line.file.data, str(held["digest"]), _BOUNDS) if held else not differs

        def update() -> bool:
            wanted = said_of(line.work.row, self._identity)
            label, desc = (UNSET if one is UNSET else json.loads(bytes(one)) for one in (wanted.label, wanted.desc))
            said = (wanted.brief, [*wanted.tags], label, desc)
            same_sign = wanted.old_cont_sign is None or is_same_sign(wanted.old_cont_sign, told)
            if held and same_sign and said == tuple(held.get(name, nothing) for name, nothing in _NOTHING.items()):
                return False
            if not trying:
                self._changed(replace(line.work.row, id=id_), wanted.old_cont_sign)
            return True

        try:
            return of_existing(line.work, id_, on_duplicate, same, update, repaired=repaired, old_sign=told)
        except NotShown as error:
            return Result(Outcome.FAILED, id_, reason_of(error))

    def _changed(self, row: Row, old_sign: str | None) -> None:
        members = {"brief": row.brief, "tags": [*row.tags], **({"old_cont_sign": old_sign} if old_sign else {})}
        parsed = {name: json.loads(text) for name in ("label", "desc") if (text := getattr(row, name)) is not None}
        body = json.dumps({**members, **parsed}).encode()
        changed = self._client.call("PATCH", self._lookup.path_of(row.id or ""), body)
        if changed.is_not_permitted:
            raise hidden(changed)
        checked(changed)


#: What a picture has where its answer says nothing.
_NOTHING: Mapping[str, object] = {"brief": "", "tags": [], "label": UNSET, "desc": UNSET}
