"""The Jumdata dialect: the three calls of similar-picture search V2, on one library a tenant.

Every answer is HTTP 200, because clients look at the status before they look at the code in the body; it is pure
ASCII, so that no charset can spoil it.
"""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.domain.application import Application, Permission
from lookalike.domain.picture import Metadata, vendor_sign
from lookalike.domain.search import Match
from lookalike.errors import (
    ArgumentTooLong,
    MissingArgument,
    TooManyItems,
)
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.libraries import library_ref
from lookalike.service.search import Search, search
from lookalike.wire.forms import Form
from lookalike.wire.http import Operation, Route, RouteEntry, routes_of
from lookalike.wire.jumdata import limits, sign_codec
from lookalike.wire.jumdata.dialect import JUMDATA, LIBRARY, Said
from lookalike.wire.jumdata.parameters import source_of


def routes(operation: Operation) -> Sequence[Route]:
    """Routes of the function ``operation`` (add, search, delete, unknown)."""
    return routes_of(operation, ROUTES)


def _input(ports: Ports, application: Application, form: Form) -> Said:
    description = form.text("description")
    if len(description.encode()) > limits.METADATA_BYTES["brief"]:
        raise ArgumentTooLong("description", f"more than {limits.METADATA_BYTES['brief']} bytes")
    picture = add(ports, Add(library_ref(application, LIBRARY), source_of(ports, form), Metadata(description)))
    return {"contSign": sign_codec.encode(vendor_sign(picture.digest, picture.metadata))}


def _search(ports: Ports, application: Application, form: Form) -> Said:
    command = Search(
        library_ref(application, LIBRARY),
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


def _delete(ports: Ports, application: Application, form: Form) -> Said:
    given = [part for part in (part.strip() for part in form.text("contSign").split(",")) if part]
    if not given:
        raise MissingArgument("contSign")
    if len(given) > limits.MAX_SIGNS:
        raise TooManyItems("contSign", f"more than {limits.MAX_SIGNS} of them")
    delete(ports, Delete(library_ref(application, LIBRARY), tuple(sign_codec.decode(sign) for sign in given)))
    return {}


def _result(match: Match) -> Said:
    return {
        "brief": match.candidate.metadata.brief,
        "score": match.score,
        "contSign": sign_codec.encode(vendor_sign(match.candidate.digest, match.candidate.metadata)),
    }


ROUTES = (
    RouteEntry("add", "POST", "/image/similarity/v2/input", JUMDATA.endpoint(_input, Permission.ADD)),
    RouteEntry("search", "POST", "/image/similarity/v2/search", JUMDATA.endpoint(_search, Permission.SEARCH)),
    RouteEntry("delete", "POST", "/image/similarity/v2/delete", JUMDATA.endpoint(_delete, Permission.DELETE)),
    RouteEntry("unknown", "*", "/image", JUMDATA.not_found),
    RouteEntry("*", "*", "/image/{rest+}", JUMDATA.not_found),
)
