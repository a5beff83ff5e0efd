"""The Jumdata dialect: the three calls of similar-picture search V2, on one library a tenant.

Every answer is HTTP 200, because clients look at the status before they look at the code in the body; it is pure
ASCII, so that no charset can spoil it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lookalike.domain.library import Shelf
from lookalike.domain.picture import Metadata
from lookalike.domain.search import Match
from lookalike.errors import (
    ArgumentTooLong,
    MissingArgument,
    TooManyItems,
    UnknownOperation,
)
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.admission import admit, check_rate
from lookalike.service.delete import Delete, delete
from lookalike.service.search import Search, search
from lookalike.service.shelves import shelf_of
from lookalike.wire import forms
from lookalike.wire.forms import Form
from lookalike.wire.http import Answer, Endpoint, Operation, Request, Route, RouteEntry, ascii_json, routes_of
from lookalike.wire.jumdata import limits, sign_codec
from lookalike.wire.jumdata.errors import refusal
from lookalike.wire.jumdata.parameters import source_of
from lookalike.wire.jumdata.signature import verify

#: The library all calls are about: the vendor has one for each account.
LIBRARY = "jumdata"


Said = Mapping[str, Any]
Call = Callable[[Ports, Shelf, Form], Said]


def routes(operation: Operation) -> Sequence[Route]:
    """What the function ``operation`` (add, search, delete, unknown) answers."""
    return routes_of(operation, ROUTES)


# -- Calls -------------------------------------------------------------------------------------------------------------


def _input(ports: Ports, shelf: Shelf, form: Form) -> Said:
    description = form.text("description")
    if len(description.encode()) > limits.METADATA_BYTES["brief"]:
        raise ArgumentTooLong("description", f"more than {limits.METADATA_BYTES['brief']} bytes")
    picture = add(ports, Add(shelf, source_of(ports, form), Metadata(description)))
    return {"contSign": sign_codec.encode(picture.digest)}


def _search(ports: Ports, shelf: Shelf, form: Form) -> Said:
    command = Search(
        shelf,
        source_of(ports, form),
        start=form.integer("start", least=0, default=0),
        count=form.integer("end", least=1, default=limits.DEFAULT_RESULTS),
    )
    page = search(ports, command)
    more = "true" if page.more else "false"
    if not page.matches:
        return {"resultNum": 0, "hasMore": more}
    return {
        "result": [_result(match) for match in page.matches],
        "resultNum": str(len(page.matches)),
        "hasMore": more,
    }


def _delete(ports: Ports, shelf: Shelf, form: Form) -> Said:
    given = [part for part in (part.strip() for part in form.text("contSign").split(",")) if part]
    if not given:
        raise MissingArgument("contSign")
    if len(given) > limits.MAX_SIGNS:
        raise TooManyItems("contSign", f"more than {limits.MAX_SIGNS} of them")
    delete(ports, Delete(shelf, tuple(sign_codec.decode(sign) for sign in given)))
    return {}


def _result(match: Match) -> Said:
    return {
        "brief": match.candidate.metadata.brief,
        "score": match.score,
        "contSign": sign_codec.encode(match.candidate.digest),
    }


# -- Who calls, and what goes back -------------------------------------------------------------------------------------


def _endpoint(call: Call) -> Endpoint:
    """Authenticate, work, and render what comes of it."""

    def endpoint(ports: Ports, request: Request) -> Answer:
        facts: dict[str, Any] = {"task": f"{secrets.randbelow(limits.TASK_NUMBERS):024d}", "library": LIBRARY}
        try:
            ports.call.check()
            check_rate(ports)
            form = forms.query_and_body(request)
            application = verify(ports, form)
            facts["app_id"] = application.app_id
            admit(ports, application, request.source_ip)
            said = call(ports, shelf_of(application, LIBRARY), form)
        except Exception as error:  # whatever it is, the caller gets an answer in the vendor's form
            return refusal(error, request, facts)
        body = {"code": 200, "msg": "成功", "taskNo": facts["task"], "charge": True, "data": said}
        return ascii_json(body, facts=facts)

    return endpoint


def _elsewhere(_ports: Ports, request: Request) -> Answer:
    """Answer a path that is none of the three, whoever asks."""
    return refusal(UnknownOperation(request.path), request, {"task": f"{secrets.randbelow(limits.TASK_NUMBERS):024d}"})


ROUTES = (
    RouteEntry("add", "POST", "/image/similarity/v2/input", _endpoint(_input)),
    RouteEntry("search", "POST", "/image/similarity/v2/search", _endpoint(_search)),
    RouteEntry("delete", "POST", "/image/similarity/v2/delete", _endpoint(_delete)),
    RouteEntry("unknown", "*", "/image", _elsewhere),
    RouteEntry("*", "*", "/image/{rest+}", _elsewhere),
)
