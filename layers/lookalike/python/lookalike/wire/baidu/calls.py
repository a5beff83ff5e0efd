"""The Baidu dialect: the token endpoint and the four calls of ``same_hq``, ``similar`` and ``product``.

Every answer is HTTP 200 but the token endpoint's, because two of the vendor's SDKs drop the body of any other; it
is pure ASCII, because one of the vendor's samples reads it in the system's code page.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lookalike.domain.application import Application
from lookalike.domain.library import Kind, Shelf
from lookalike.domain.picture import Metadata, MetadataChange, sign_of
from lookalike.domain.search import Match
from lookalike.errors import (
    InvalidArgument,
    MissingArgument,
    TokenInvalid,
    UnknownOperation,
)
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.admission import Callers, admit, check_rate
from lookalike.service.delete import Delete, delete
from lookalike.service.libraries import MADE_BY_ADD
from lookalike.service.search import Search, search
from lookalike.service.update import Update, update
from lookalike.wire import forms
from lookalike.wire.baidu import access_tokens, limits, token_endpoint
from lookalike.wire.baidu import signature as bce
from lookalike.wire.baidu.errors import refusal
from lookalike.wire.baidu.parameters import (
    brief_of,
    nothing_given,
    sign_of_one,
    signs_of,
    source_of,
    tag_filter_of,
    tags_of,
    unmentioned,
)
from lookalike.wire.forms import Form
from lookalike.wire.http import Answer, Endpoint, Operation, Request, Route, RouteEntry, ascii_json, routes_of

#: The libraries by the name they have in paths.
LIBRARIES = MADE_BY_ADD


Said = Mapping[str, Any]
Work = Callable[[Ports, Request, Application], Said]
Call = Callable[[Ports, Shelf, Form], Said]


def routes(operation: Operation) -> Sequence[Route]:
    """What the function ``operation`` (add, search, update, delete, unknown) answers."""
    return routes_of(operation, ROUTES)


# -- Calls on a library ------------------------------------------------------------------------------------------------


def _add(ports: Ports, shelf: Shelf, form: Form) -> Said:
    source = source_of(ports, form)
    if source is None:
        raise nothing_given(form)
    brief = brief_of(form)
    if not brief and shelf.kind is not Kind.PRODUCT and ports.settings.brief_required:
        raise MissingArgument("brief", remedy="LOOKALIKE_BRIEF_REQUIRED=false makes it optional")
    picture = add(ports, Add(shelf, source, Metadata(brief, tags=tags_of(shelf, form))))
    return {"cont_sign": sign_of(picture.digest)}


def _search(ports: Ports, shelf: Shelf, form: Form) -> Said:
    source = source_of(ports, form)
    if source is None:
        raise nothing_given(form)
    command = Search(
        shelf,
        source,
        start=form.integer("pn", least=0, default=0),
        count=min(form.integer("rn", least=1, default=limits.DEFAULT_RESULTS), limits.MAX_RESULTS),
        tags=tag_filter_of(shelf, form),
    )
    page = search(ports, command)
    return {
        "result_num": len(page.matches),
        "result": [_result(match) for match in page.matches],
        "has_more": page.more,
    }


def _update(ports: Ports, shelf: Shelf, form: Form) -> Said:
    which = source_of(ports, form) or sign_of_one(form)
    change: MetadataChange = {}
    if given := tags_of(shelf, form):
        change["tags"] = given
    if brief := brief_of(form):
        change["brief"] = brief
    update(ports, Update(shelf, which, change, keep=unmentioned(shelf, given)))
    return {}


def _delete(ports: Ports, shelf: Shelf, form: Form) -> Said:
    delete(ports, Delete(shelf, source_of(ports, form) or signs_of(form)))
    return {}


def _result(match: Match) -> Said:
    return {
        "score": match.score,
        "brief": match.candidate.metadata.brief,
        "cont_sign": sign_of(match.candidate.digest),
    }


# -- Who calls, and what goes back -------------------------------------------------------------------------------------


def _in_library(call: Call) -> Work:
    def work(ports: Ports, request: Request, application: Application) -> Said:
        name = request.arguments["library"]
        if name not in LIBRARIES:
            raise UnknownOperation(request.path)
        return call(ports, Shelf(application.tenant, name, LIBRARIES[name]), forms.body(request))

    return work


def _no_such_operation(_ports: Ports, request: Request, _application: Application) -> Said:
    raise UnknownOperation(request.path)


def _endpoint(work: Work) -> Endpoint:
    """Authenticate, work, and render what comes of it."""

    def endpoint(ports: Ports, request: Request) -> Answer:
        facts: dict[str, Any] = {"log_id": secrets.randbelow(limits.LOG_IDS)}
        if request.arguments.get("library") in LIBRARIES:  # any other text may be anything, even a token
            facts["library"] = request.arguments["library"]
        try:
            ports.call.check()
            check_rate(ports)
            application = _authenticated(ports, request)
            facts["app_id"] = application.app_id
            admit(ports, application, request.source_ip)
            said = work(ports, request, application)
        except Exception as error:  # whatever it is, the caller gets an answer in the vendor's form
            return refusal(error, request, facts)
        return ascii_json({"log_id": facts["log_id"], **said}, facts=facts)

    return endpoint


def _authenticated(ports: Ports, request: Request) -> Application:
    now = ports.clock() // 1000
    if bce.is_meant(request):
        return bce.verify(Callers(ports), request, ports.settings.public_hosts, now)
    return access_tokens.verify(Callers(ports), _access_token(request), now)


def _access_token(request: Request) -> str:
    """From the query, or else from the body. Raises TokenInvalid if the body cannot be read.

    The Node SDK appends its query twice, so the token ends where the second one begins.
    """
    try:
        token = forms.query(request).text("access_token") or forms.body(request).text("access_token")
    except InvalidArgument as reason:
        raise TokenInvalid(f"cannot be read: {reason.explanation}") from reason
    return token.partition("?")[0]


# -- Paths -------------------------------------------------------------------------------------------------------------

#: Where the vendor has its libraries; every library is found in each place, because clients mix them up.
_PLACES = (
    "/rest/2.0/realtime_search",
    "/rest/2.0/image-classify/v1/realtime_search",
    "/rest/2.0/imagesearch/v1/realtime_search",
)


def _calls(operation: Operation, call: Call) -> tuple[RouteEntry, ...]:
    endpoint = _endpoint(_in_library(call))
    return tuple(RouteEntry(operation, "POST", f"{place}/{{library}}/{operation}", endpoint) for place in _PLACES)


ROUTES = (
    *_calls("add", _add),
    *_calls("search", _search),
    *_calls("update", _update),
    *_calls("delete", _delete),
    RouteEntry("*", "*", "/rest/{rest+}", _endpoint(_no_such_operation)),
    RouteEntry("*", "*", "/rpc/{rest+}", _endpoint(_no_such_operation)),
    RouteEntry("*", "*", "/oauth/{rest+}", token_endpoint.elsewhere),
)
