"""The answer of a call that adds pictures, each of which is kept or refused by itself; the call succeeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from lookalike.domain.exact_json import quoted
from lookalike.domain.library import Library
from lookalike.domain.picture import Picture
from lookalike.observability import count_failures, error_fields, log_failure, logger
from lookalike.ports import Ports
from lookalike.service.add_many import Outcome
from lookalike.service.groups import name_of
from lookalike.wire.http import Request
from lookalike.wire.qiniu.errors import VendorError
from lookalike.wire.qiniu.json_text import json_array, json_object

#: Reasons for which pictures of one call were refused, in one line of the log.
_MAX_REASONS = 20


@dataclass(slots=True)
class _Refused:
    """Pictures of one call that were refused for the same reason; ``first`` is the first one's place in the list."""

    error: Exception
    first: int
    pictures: int = 0

    def log_fields(self) -> Mapping[str, object]:
        """Fields of the log line."""
        outcome = type(self.error).__name__
        return {"outcome": outcome, **error_fields(self.error), "pictures": self.pictures, "first": self.first}


def outcomes_json(ports: Ports, request: Request, library: Library, outcomes: Iterable[Outcome]) -> str:
    """The answer's body: of every picture its id or its error. Failures of ours are counted, refusals are logged."""
    log = {"library": library.name, "request_id": request.id}
    images, failures = [], []
    refused: dict[str, _Refused] = {}
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Picture):
            images.append(quoted(name_of(library, outcome)))
            failures.append("null")
        else:
            refused.setdefault(str(error_fields(outcome)), _Refused(outcome, number)).pictures += 1
            images.append('""')
            failures.append(_error_json(ports, outcome, log))
    if refused:
        reasons = [one.log_fields() for one in islice(refused.values(), _MAX_REASONS)]
        logger.info("pictures refused", extra={**log, "refused": reasons})
    return json_object(images=json_array(images), errors=json_array(failures))


def _error_json(ports: Ports, error: Exception, log: Mapping[str, object]) -> str:
    """The error of one picture. A failure of ours is counted and logged here: the call as a whole does not fail."""
    found = VendorError.of(error)
    if found.ours:
        log_failure(error, log)
        count_failures(ports.settings, "request")
    return json.dumps({"code": found.code, "message": found.message})
