"""What a server can be asked for by commands on its own machine, and what commands do themselves where none runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lookalike.domain.canary import CanaryReport
from lookalike.domain.record import Record
from lookalike.errors import Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.server.control import Command, Tell
from lookalike.service.canary import run_canary
from lookalike.service.consistency import check
from lookalike.service.groups import name_of
from lookalike.service.libraries import find_library
from lookalike.service.mend import Mender
from lookalike.service.model_view import current
from lookalike.service.restore import restore
from lookalike.service.second_model_check import with_second_model

#: Partition and keys of the records of what was last done.
SERVICE, LAST_CHECK, LAST_CANARY = "service", "check", "canary"


def run_check(ports: Ports, asked: Mapping[str, Any], tell: Tell) -> str:
    """Check the stores; return the report. ``repair``: mend, ``rate`` rows a second; ``deep``: originals to embed again."""
    mend = Mender(ports, float(asked["rate"])) if asked["repair"] else None
    report = check(ports, mend=mend, deep=int(asked["deep"]), tell=tell)
    report = with_second_model(ports, report, repair=bool(asked["repair"]))
    return _noted(ports, LAST_CHECK, report.to_json())


def run_restore(ports: Ports, asked: Mapping[str, Any], _tell: Tell) -> str:
    """Restore a deleted picture, by its id or sign in the library of that name of the ``tenant``; return its row's facts."""
    library = find_library(ports, asked["tenant"], asked["library"])
    picture = restore(ports, library, asked["picture"])
    return json.dumps({"library": library.name, "id": name_of(library, picture), "revision": picture.revision})


def run_canary_command(ports: Ports, asked: Mapping[str, Any], tell: Tell) -> str:
    """Run a canary; return its report. ``recall``: vectors by which recall is measured."""
    tell("adding, finding and deleting a picture")
    report: CanaryReport = run_canary(ports, int(asked["recall"]))
    return _noted(ports, LAST_CANARY, json.dumps({**asdict(report), "well": report.well}))


def _noted(ports: Ports, key: str, body: str) -> str:
    """Record what was found; return it."""
    try:
        ports.records.save_records([Record(SERVICE, key, body)])
    except Unavailable as error:
        logger.warning("a report could not be kept", extra={"operation": "control", **error_fields(error)})
    return body


def _by_live_model(command: Command) -> Command:
    """Return the command, done with the model that searches use."""
    return lambda ports, asked, tell: command(current(ports), asked, tell)


COMMANDS: Mapping[str, Command] = {
    "check": _by_live_model(run_check),
    "restore": _by_live_model(run_restore),
    "canary": _by_live_model(run_canary_command),
}
