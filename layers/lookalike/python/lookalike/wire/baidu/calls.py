"""The Baidu dialect: the token endpoint and the four calls of ``same_hq``, ``similar`` and ``product``.

Every answer is HTTP 200 but the token endpoint's, because two of the vendor's SDKs drop the body of any other; it
is pure ASCII, because one of the vendor's samples reads it in the system's code page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lookalike.domain.application import Application, Permission
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Metadata, MetadataChange, vendor_sign
from lookalike.domain.search import Match
from lookalike.errors import (
    MissingArgument,
    UnknownOperation,
)
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.search import Search, search
from lookalike.service.update import Update, update
from lookalike.wire.baidu import limits, token_endpoint
from lookalike.wire.baidu.dialect import BAIDU, LIBRARIES, Said
from lookalike.wire.baidu.parameters import (
    brief_of,
    kept_class_prefixes,
    no_picture_error,
    sign_of_one,
    signs_of,
    source_of,
    tag_filter_of,
    tags_of,
)
from lookalike.wire.dialect import Call
from lookalike.wire.forms import Form, RequestForms
from lookalike.wire.http import Operation, Route, RouteEntry, routes_of

LibraryCall = Callable[[Ports, LibraryRef, Form], Said]


def routes(operation: Operation) -> Sequence[Route]:
    """Routes of the function ``operation`` (add, search, update, delete, unknown)."""
    return routes_of(operation, ROUTES)


# -- Calls on a library ------------------------------------------------------------------------------------------------


def _add(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    source = source_of(ports, form)
    if source is None:
        raise no_picture_error(form)
    brief = brief_of(form)
    if not brief and ref.kind is not Kind.PRODUCT and ports.settings.brief_required:
        raise MissingArgument("brief", remedy="LOOKALIKE_BRIEF_REQUIRED=false makes it optional")
    picture = add(ports, Add(ref, source, Metadata(brief, tags=tags_of(ref, form))))
    return {"cont_sign": vendor_sign(picture.digest, picture.metadata)}


def _search(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    source = source_of(ports, form)
    if source is None:
        raise no_picture_error(form)
    command = Search(
        ref,
        source,
        start=form.integer("pn", least=0, default=0),
        count=min(form.integer("rn", least=1, default=limits.DEFAULT_RESULTS), limits.MAX_RESULTS),
        tags=tag_filter_of(ref, form),
    )
    page = search(ports, command)
    return {
        "result_num": len(page.matches),
        "result": [_result(match) for match in page.matches],
        "has_more": page.more,
    }


def _update(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    which = source_of(ports, form) or sign_of_one(form)
    change: MetadataChange = {}
    if given := tags_of(ref, form):
        change["tags"] = given
    if brief := brief_of(form):
        change["brief"] = brief
    update(ports, Update(ref, which, change, keep=kept_class_prefixes(ref, given)))
    return {}


def _delete(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    delete(ports, Delete(ref, source_of(ports, form) or signs_of(form)))
    return {}


def _result(match: Match) -> Said:
    return {
        "score": match.score,
        "brief": match.candidate.metadata.brief,
        "cont_sign": vendor_sign(match.candidate.digest, match.candidate.metadata),
    }


# -- Paths -------------------------------------------------------------------------------------------------------------


def _in_library(call: LibraryCall) -> Call[RequestForms, Said]:
    """Return the call for the library named in the path. It raises UnknownOperation for an unknown name."""

    def in_library(ports: Ports, application: Application, sent: RequestForms) -> Said:
        name = sent.request.arguments["library"]
        if name not in LIBRARIES:
            raise UnknownOperation(sent.request.path)
        return call(ports, LibraryRef(application.tenant, name, LIBRARIES[name]), sent.body)

    return in_library


def _no_such_operation(_ports: Ports, _application: Application, sent: RequestForms) -> Said:
    raise UnknownOperation(sent.request.path)


#: Where the vendor has its libraries; every library is found in each place, because clients mix them up.
_PLACES = (
    "/rest/2.0/realtime_search",
    "/rest/2.0/image-classify/v1/realtime_search",
    "/rest/2.0/imagesearch/v1/realtime_search",
)


def _calls(operation: Operation, call: LibraryCall) -> tuple[RouteEntry, ...]:
    endpoint = BAIDU.endpoint(_in_library(call), Permission(operation))
    return tuple(RouteEntry(operation, "POST", f"{place}/{{library}}/{operation}", endpoint) for place in _PLACES)


ROUTES = (
    *_calls("add", _add),
    *_calls("search", _search),
    *_calls("update", _update),
    *_calls("delete", _delete),
    RouteEntry("*", "*", "/rest/{rest+}", BAIDU.endpoint(_no_such_operation)),
    RouteEntry("*", "*", "/rpc/{rest+}", BAIDU.endpoint(_no_such_operation)),
    RouteEntry("*", "*", "/oauth/{rest+}", token_endpoint.not_found),
)
