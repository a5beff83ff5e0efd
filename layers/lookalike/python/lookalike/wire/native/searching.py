"""Calls that look for pictures: search, check, compare."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from lookalike.domain.application import Application
from lookalike.domain.geometry import WHOLE, Box
from lookalike.domain.library import Library
from lookalike.errors import InvalidArgument
from lookalike.ports import Ports
from lookalike.service.check import Check, check, held
from lookalike.service.compare import compare
from lookalike.service.ranking import WINDOW, Page
from lookalike.service.search import Search, search
from lookalike.wire import forms
from lookalike.wire.http import Request
from lookalike.wire.native import reading
from lookalike.wire.native.answers import (
    CheckSaid,
    ComparedSaid,
    FoundSaid,
    QuerySaid,
    SameSaid,
    look_said,
    match_said,
    picture_said,
    proof_said,
)
from lookalike.wire.native.dialect import Reply
from lookalike.wire.native.requests import BoxGiven, CompareGiven, ImageGiven, SearchManyGiven, SearchOptionsGiven


def search_library(ports: Ports, application: Application, request: Request) -> Reply:
    """Find pictures like the one given in one library."""
    began = time.perf_counter()
    said, image = reading.search_of(request)
    library = reading.library_of(ports, application, request.arguments["library"])
    return _found(ports, application, [library], _Query(said, image, began))


def search_several(ports: Ports, application: Application, request: Request) -> Reply:
    """Find pictures like the one given in several libraries of one kind."""
    began = time.perf_counter()
    said = reading.body_of(request, SearchManyGiven)
    places = {name: f"/libraries/{number}" for number, name in reversed(list(enumerate(said.libraries)))}
    libraries = [reading.library_of(ports, application, name, places[name]) for name in dict.fromkeys(said.libraries)]
    return _found(ports, application, libraries, _Query(said, said.image, began))


@dataclass(frozen=True, slots=True)
class _Query:
    """What to search, how, and when the call began, in seconds of the performance counter."""

    said: SearchOptionsGiven
    image: ImageGiven | bytes
    began: float


def _found(ports: Ports, application: Application, libraries: Sequence[Library], query: _Query) -> Reply:
    said = query.said
    start = reading.position_of(said.after)
    one = libraries[0] if len(libraries) == 1 else None
    command = Search(
        within=tuple(libraries),
        source=reading.source_of(ports, application, one, query.image, "/image"),
        start=start,
        count=int(said.limit),
        tags=reading.filter_of(said.filter),
        box=None if said.box is None else _box(said.box),
        threshold=said.threshold,
        also=tuple(
            reading.source_of(ports, application, one, image, f"/also/{number}")
            for number, image in enumerate(said.also)
        ),
        without=tuple(
            reading.source_of(ports, application, one, image, f"/not/{number}")
            for number, image in enumerate(said.without)
        ),
    )
    page = search(ports, command)
    return Reply(_page_said(ports, libraries, query, page))


def _page_said(ports: Ports, libraries: Sequence[Library], query: _Query, page: Page) -> FoundSaid:
    said = query.said
    by_uid = {library.uid: library for library in libraries}
    end = reading.position_of(said.after) + len(page.matches)
    return FoundSaid(
        query=UNSET if page.query is None else QuerySaid(width=page.query.width, height=page.query.height),
        matches=tuple(
            match_said(
                by_uid[match.candidate.key.library],
                match,
                explain=said.explain,
                box=WHOLE if said.box is None else _box(said.box),
            )
            for match in page.matches
        ),
        next=reading.cursor_of(end) if page.more and page.matches and end < WINDOW else "",
        took_ms=round(1000 * (time.perf_counter() - query.began), 1),
        model=ports.embedder.model,
        trace=tuple(look_said(look) for look in page.looks) if said.explain else (),
    )


def _box(given: BoxGiven) -> Box:
    """Return the box. Raises InvalidArgument if it is empty."""
    box = Box(*given)
    if box.left >= box.right or box.top >= box.bottom:
        raise InvalidArgument("/box", "must be left, top, right, bottom, with left < right and top < bottom")
    return box


def check_picture(ports: Ports, application: Application, request: Request) -> Reply:
    """Say whether the library holds the very picture, and if not, unless ``nearest`` is false, which is the nearest."""
    quick = reading.one_of(forms.query(request), "nearest", "true", "false") == "false"
    image = reading.checked_image(request)
    library = reading.library_of(ports, application, request.arguments["library"])
    source = reading.source_of(ports, application, library, image, "/image")
    found = Check(held(ports, library, source)) if quick else check(ports, library, source)
    return Reply(
        CheckSaid(
            held=found.picture is not None,
            picture=UNSET if found.picture is None else picture_said(library, found.picture),
            nearest=UNSET if found.nearest is None else match_said(library, found.nearest, explain=True),
        )
    )


def compare_pictures(ports: Ports, application: Application, request: Request) -> Reply:
    """Compare two pictures as a library of each kind would."""
    said = reading.body_of(request, CompareGiven)
    first = reading.source_of(ports, application, None, said.a, "/a")
    second = reading.source_of(ports, application, None, said.b, "/b")
    compared = compare(ports, application.tenant, first, second)
    return Reply(
        ComparedSaid(
            identical=compared.identical,
            same=SameSaid(
                score=compared.same_score, proof=UNSET if compared.same is None else proof_said(compared.same)
            ),
            similar=compared.similar,
            product=compared.product,
        )
    )
