"""Bulk calls: a line of JSON a picture in, a line of JSON a picture out, in the same order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, UnsetType

from lookalike.domain.application import Application, Permission
from lookalike.domain.library import Library
from lookalike.errors import InvalidArgument, LookalikeError, MissingArgument, OutOfTime, PictureNotFound, TooManyItems
from lookalike.ports import Ports
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import name_of
from lookalike.service.permissions import require
from lookalike.service.update import Update, update
from lookalike.wire.http import Request
from lookalike.wire.native import limits, reading
from lookalike.wire.native.answers import Said
from lookalike.wire.native.dialect import File, Reply
from lookalike.wire.native.json_body import json_of
from lookalike.wire.native.pictures import Given, add_or_find
from lookalike.wire.native.problems import is_ours, problem_of
from lookalike.wire.native.requests import ImageGiven, MetadataGiven, PictureChange, RowGiven
from lookalike.wire.refusals import Refusals

CONTENT_TYPE = "application/x-ndjson"

#: Rows of one call that are worked on in parallel.
_MAX_PARALLEL = 8


class RowSaid(Said, frozen=True, kw_only=True):
    """The outcome of a row: the status and code that the call alone would have had. ``row`` counts from 1.

    ``repaired``: the picture was there, its original was lost, and the file of the row is stored in its place.
    """

    row: int
    status: int
    id: str = ""
    created: bool | UnsetType = UNSET
    repaired: bool = False
    revision: int | UnsetType = UNSET
    code: str = ""
    detail: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is said of a row, and the error that it met."""

    said: RowSaid
    error: Exception | None = None


class TotalsSaid(msgspec.Struct, frozen=True, kw_only=True):
    """The last line: rows that were done, refused, and not reached in time, which may be sent again."""

    rows: int
    ok: int
    refused: int
    unfinished: int


def bulk(ports: Ports, application: Application, request: Request) -> Reply:
    """Add, change and delete pictures, a row each. A row that is refused leaves the others alone."""
    library = reading.library_of(ports, application, request.arguments["library"])
    lines = [line for line in reading.text_of(request).split(b"\n") if line.strip()]
    if len(lines) > limits.MAX_ROWS:
        raise TooManyItems("body", f"{len(lines)} rows, more than {limits.MAX_ROWS}")
    work = _Work(ports, application, library, request.id, time.monotonic() + limits.MAX_BULK_SECONDS)
    outcomes = _in_parallel(work.outcome, lines)
    _log_refusals(Refusals(ports, library.name, request.id), outcomes)
    return Reply(_ndjson([outcome.said for outcome in outcomes]))


def _log_refusals(refusals: Refusals, outcomes: Sequence[_Outcome]) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            ours = is_ours(outcome.error) and not isinstance(outcome.error, OutOfTime)  # the caller sends it again
            refusals.add(outcome.error, outcome.said.row, ours=ours)
    refusals.log()


def _in_parallel(outcome: Callable[[int, bytes], _Outcome], lines: Sequence[bytes]) -> list[_Outcome]:
    """Return the outcomes, in order; rows of one id are done in their order."""
    chains: dict[object, list[tuple[int, bytes]]] = {}
    for row, line in enumerate(lines, 1):
        chains.setdefault(_id_of(line) or row, []).append((row, line))

    def of_chain(chain: Sequence[tuple[int, bytes]]) -> list[_Outcome]:
        return [outcome(row, line) for row, line in chain]

    with ThreadPoolExecutor(_MAX_PARALLEL, thread_name_prefix="bulk") as pool:
        done = [outcome for some in pool.map(of_chain, chains.values()) for outcome in some]
    return sorted(done, key=lambda one: one.said.row)


def _id_of(line: bytes) -> str:
    try:
        return json_of(line, RowGiven).id or ""
    except InvalidArgument:
        return ""


def _ndjson(rows: Sequence[RowSaid]) -> File:
    unfinished = sum(row.status == 503 for row in rows)
    ok = sum(row.status < 400 for row in rows)
    totals = TotalsSaid(rows=len(rows), ok=ok, refused=len(rows) - ok - unfinished, unfinished=unfinished)
    return File(b"".join(msgspec.json.encode(line) + b"\n" for line in (*rows, totals)), CONTENT_TYPE)


@dataclass(frozen=True, slots=True)
class _Work:
    """The rows of one call; ``deadline`` is of the monotonic clock, in seconds."""

    ports: Ports
    application: Application
    library: Library
    request_id: str
    deadline: float

    def outcome(self, row: int, line: bytes) -> _Outcome:
        """Do what a row says, and return what became of it."""
        try:
            self._check_time()
            return _Outcome(self._done(row, json_of(line, RowGiven)))
        except LookalikeError as error:
            return _Outcome(self._refused(row, line, error), error)
        except Exception as fault:  # of ours: the rows beside it are done all the same, and their caller must learn it
            return _Outcome(self._refused(row, line, fault), fault)

    def _check_time(self) -> None:
        if time.monotonic() >= self.deadline:
            raise OutOfTime("its turn never came")

    def _refused(self, row: int, line: bytes, error: Exception) -> RowSaid:
        problem, id_ = problem_of(error, self.request_id), _id_of(line)
        # The log counts the rows that have one reason; a row is told of itself.
        absent = isinstance(error, PictureNotFound) and id_
        return RowSaid(
            row=row,
            status=problem.status,
            id=id_,
            code=problem.code,
            detail=f"not in the library: {id_}" if absent else problem.detail,
            field=f"/{problem.field}" if problem.field in RowGiven.__struct_fields__ else problem.field,
        )

    def _done(self, row: int, said: RowGiven) -> RowSaid:
        require(self.application, Permission(said.op))
        if said.op == "add":
            return self._added(row, said)
        if said.id is None:
            raise MissingArgument("/id")
        for name in ("url", "base64", "upload"):
            if getattr(said, name) is not None:
                raise InvalidArgument(f"/{name}", "goes with op add")
        ref, name = reading.ref_of(self.library), reading.checked_id(said.id, "/id")
        if said.op == "delete":
            delete(self.ports, Delete(ref, (name,)))
            return RowSaid(row=row, status=204, id=name)
        change = PictureChange(
            brief=said.brief, tags=said.tags, label=said.label, desc=said.desc, old_cont_sign=said.old_cont_sign
        )
        picture = update(self.ports, Update(ref, name, reading.change_of(ref, change)))
        return RowSaid(row=row, status=200, id=name, revision=picture.revision)

    def _added(self, row: int, said: RowGiven) -> RowSaid:
        given_as = {name: getattr(said, name) for name in ("url", "base64", "upload")}
        image = ImageGiven(**{name: given for name, given in given_as.items() if given is not None})
        if len(given_as.values()) - [*given_as.values()].count(None) != 1:
            raise InvalidArgument("/url", "a row to add must have one of url, base64 and upload")
        source = reading.source_of(self.ports, self.application, self.library, image, "")
        given = MetadataGiven(
            id=said.id,
            brief=said.brief or "",
            tags=said.tags or (),
            label=said.label,
            desc=said.desc,
            on_duplicate=said.on_duplicate,
            old_cont_sign=None if said.old_cont_sign is UNSET else said.old_cont_sign,
        )
        held = add_or_find(
            self.ports, self.library, reading.ref_of(self.library), Given(self.application, source, given)
        )
        return RowSaid(
            row=row,
            status=201 if held.created else 200,
            id=name_of(self.library, held.picture),
            created=held.created,
            repaired=held.repaired,
            revision=held.picture.revision,
        )
