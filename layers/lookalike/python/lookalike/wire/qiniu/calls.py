"""The Qiniu dialect: image groups, whose pictures have the ids their callers give them.

Errors are real HTTP statuses. Every answer is JSON in UTF-8 with an ``X-Reqid``, without which one of the vendor's
SDKs takes the server for another's; label and desc go back as they came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress

from lookalike.domain.application import Application, Permission
from lookalike.domain.exact_json import Value, quoted
from lookalike.domain.library import Library, LibraryRef
from lookalike.errors import (
    InvalidArgument,
    LibraryNotFound,
    PictureNotFound,
    TooManyItems,
)
from lookalike.ports import Ports
from lookalike.service.add import Add
from lookalike.service.add_many import add_all
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import group_names, list_pictures, picture_in, remove_group
from lookalike.service.libraries import create_library, find_library, is_library_name, library_ref
from lookalike.service.permissions import require
from lookalike.service.search import SearchGroups, search_groups
from lookalike.wire import forms
from lookalike.wire.http import Operation, Request, Route, RouteEntry, routes_of
from lookalike.wire.qiniu import limits, list_marker
from lookalike.wire.qiniu.answers import listed_json, match_json, metadata_members, truncated_to_limit
from lookalike.wire.qiniu.dialect import QINIU
from lookalike.wire.qiniu.errors import NothingGiven
from lookalike.wire.qiniu.json_text import json_array, json_object, success
from lookalike.wire.qiniu.outcomes import outcomes_json
from lookalike.wire.qiniu.requests import (
    body_of,
    command_of,
    elements_of,
    groups_of,
    limit_of,
    object_of,
    source_of,
    text_of,
    threshold_of,
)


def routes(operation: Operation) -> Sequence[Route]:
    """Routes of the function ``operation`` (groups, add, delete, search, unknown)."""
    return routes_of(operation, ROUTES)


# -- Groups ------------------------------------------------------------------------------------------------------------


def _new(ports: Ports, application: Application, request: Request) -> str:
    require(application, Permission.ADD)
    ref = library_ref(application, request.arguments["group"])
    elements = elements_of(ports, request)
    return _added(ports, request, create_library(ports, ref), ref, elements)


def _remove(ports: Ports, application: Application, request: Request) -> str:
    if is_library_name(request.arguments["group"]):
        remove_group(ports, application.tenant, request.arguments["group"])
    return "{}"


def _list(ports: Ports, application: Application, _request: Request) -> str:
    names, _ = truncated_to_limit(ports, "groups", map(quoted, group_names(ports, application.tenant)))
    return success(result=json_array(names))


def _info(ports: Ports, application: Application, request: Request) -> str:
    return json.dumps({"count": ports.index.count(_group(ports, application, request).uid)})


# -- Pictures ----------------------------------------------------------------------------------------------------------


def _add(ports: Ports, application: Application, request: Request) -> str:
    elements = elements_of(ports, request)
    library = _group(ports, application, request)
    return _added(ports, request, library, library_ref(application, library.name), elements)


def _added(ports: Ports, request: Request, library: Library, ref: LibraryRef, elements: Sequence[Value]) -> str:
    """Add the pictures of these elements; an element that cannot be read is refused like a picture."""
    commands = [command_of(ref, element) for element in elements]
    added = iter(add_all(ports, library, [one for one in commands if isinstance(one, Add)], limits.MAX_ADDING_SECONDS))
    outcomes = (next(added) if isinstance(one, Add) else one for one in commands)
    return outcomes_json(ports, request, library, outcomes)


def _delete(ports: Ports, application: Application, request: Request) -> str:
    named = body_of(request).get("images")
    if not isinstance(named, list):
        raise InvalidArgument("images", "must be a list of ids")
    if len(named) > limits.MAX_DELETED:
        raise TooManyItems("images", f"more than {limits.MAX_DELETED} of them")
    names = tuple(text_of("images", one) for one in named)
    library = _group(ports, application, request)
    with suppress(PictureNotFound):  # this vendor does not mind
        delete(ports, Delete(library_ref(application, library.name), names))
    return "{}"


def _pictures(ports: Ports, application: Application, request: Request) -> str:
    query = forms.query(request)
    limit = query.text("limit") or str(limits.MAX_LISTED)
    if not re.fullmatch(r"[0-9]{1,4}", limit) or not 1 <= int(limit) <= limits.MAX_LISTED:
        raise InvalidArgument("limit", f"must be a whole number, from 1 to {limits.MAX_LISTED}")
    library = _group(ports, application, request)
    listing = list_pictures(ports, library, list_marker.decode(library, query.text("marker")), int(limit))
    shown, cut = truncated_to_limit(ports, "groups", (listed_json(library, picture) for picture in listing.pictures))
    after = listing.pictures[len(shown) - 1].key.id if cut else listing.after
    marker = "" if after is None else list_marker.encode(library, after)
    return success(marker=quoted(marker), result=json_array(shown))


def _picture(ports: Ports, application: Application, request: Request) -> str:
    name = text_of("id", body_of(request).get("id"))
    picture = picture_in(ports, _group(ports, application, request), name)
    return json_object(**metadata_members(picture.metadata))


# -- Search ------------------------------------------------------------------------------------------------------------


def _search(ports: Ports, application: Application, request: Request) -> str:
    return _found(ports, application, request, None)


def _search_one(ports: Ports, application: Application, request: Request) -> str:
    return _found(ports, application, request, request.arguments["group"])


def _found(ports: Ports, application: Application, request: Request, group: str | None) -> str:
    """Search in that one group, as the vendor's older call does; None: in those that the body names."""
    body = body_of(request)
    params = object_of("params", body.get("params"))
    source = source_of(
        text_of("uri", object_of("data", body.get("data")).get("uri"), default=""), NothingGiven("uri", "missing")
    )
    limit, threshold = limit_of(params.get("limit")), threshold_of(params.get("threshold"))
    names = groups_of(params.get("groups")) if group is None else [group]
    libraries = {library.uid: library for library in (_library(ports, application, name) for name in names)}
    matches = search_groups(
        ports,
        SearchGroups(tuple(libraries.values()), source, limit, max(threshold, ports.settings.group_threshold)),
    )
    results = (match_json(libraries[match.candidate.key.library], match, with_group=group is None) for match in matches)
    shown, _ = truncated_to_limit(ports, "search", results)
    return success(result=json_array(shown))


# -- What requests say -------------------------------------------------------------------------------------------------


def _group(ports: Ports, application: Application, request: Request) -> Library:
    """The group of the path. Raises LibraryNotFound."""
    return _library(ports, application, request.arguments["group"])


def _library(ports: Ports, application: Application, name: str) -> Library:
    if not is_library_name(name):
        raise LibraryNotFound(name)
    return find_library(ports, application.tenant, name)


# -- Paths -------------------------------------------------------------------------------------------------------------

_GROUP = "/v1/image/group/{group}"

ROUTES = (
    RouteEntry("groups", "GET", "/v1/image/group", QINIU.endpoint(_list, Permission.GROUPS)),
    RouteEntry("groups", "GET", _GROUP, QINIU.endpoint(_pictures, Permission.GROUPS)),
    RouteEntry("groups", "GET", f"{_GROUP}/info", QINIU.endpoint(_info, Permission.GROUPS)),
    RouteEntry("groups", "POST", f"{_GROUP}/new", QINIU.endpoint(_new, Permission.GROUPS)),
    RouteEntry("groups", "POST", f"{_GROUP}/remove", QINIU.endpoint(_remove, Permission.GROUPS)),
    RouteEntry("groups", "POST", f"{_GROUP}/image", QINIU.endpoint(_picture, Permission.SEARCH)),
    RouteEntry("add", "POST", f"{_GROUP}/add", QINIU.endpoint(_add, Permission.ADD)),
    RouteEntry("delete", "POST", f"{_GROUP}/delete", QINIU.endpoint(_delete, Permission.DELETE)),
    RouteEntry("search", "POST", "/v1/image/groups/search", QINIU.endpoint(_search, Permission.SEARCH)),
    RouteEntry("search", "POST", f"{_GROUP}/search", QINIU.endpoint(_search_one, Permission.SEARCH)),
    RouteEntry("unknown", "*", "/v1", QINIU.not_found),
    RouteEntry("*", "*", "/v1/{rest+}", QINIU.not_found),
)
