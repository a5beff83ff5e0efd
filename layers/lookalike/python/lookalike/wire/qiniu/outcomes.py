"""The answer of a call that adds pictures, each of which is kept or refused by itself; the call succeeds."""

from __future__ import annotations

import json
from collections.abc import Iterable

from lookalike.domain.exact_json import quoted
from lookalike.domain.library import Library
from lookalike.domain.picture import Picture
from lookalike.ports import Ports
from lookalike.service.add_many import Outcome
from lookalike.service.groups import name_of
from lookalike.wire.http import Request
from lookalike.wire.qiniu.errors import VendorError
from lookalike.wire.qiniu.json_text import json_array, json_object
from lookalike.wire.refusals import Refusals


def outcomes_json(ports: Ports, request: Request, library: Library, outcomes: Iterable[Outcome]) -> str:
    """The answer's body: of every picture its id or its error. Failures of ours are counted, refusals are logged."""
    images, failures = [], []
    refusals = Refusals(ports, library.name, request.id)
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Picture):
            images.append(quoted(name_of(library, outcome)))
            failures.append("null")
        else:
            found = VendorError.of(outcome)
            refusals.add(outcome, number, ours=found.ours)
            images.append('""')
            failures.append(json.dumps({"code": found.code, "message": found.message}))
    refusals.log()
    return json_object(images=json_array(images), errors=json_array(failures))
