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
from lookalike.service.consistency import DEFAULT_NAMES, check
from lookalike.service.groups import name_of
from lookalike.service.libraries import find_library
from lookalike.service.mend import Mender
from lookalike.service.restore import restore

#: Partition and keys of the records of what was last done.
SERVICE, LAST_CHECK, LAST_CANARY = "service", "check", "canary"


def run_check(ports: Ports, asked: Mapping[str, Any], tell: Tell) -> str:
    """Check the stores; return the report.

    ``repair``: mend, ``rate`` rows a second; ``deep``: originals to embed again; ``names``: findings of each fault to name.
    """
    mend = Mender(ports, float(asked["rate"])) if asked["repair"] else None
    names = int(asked.get("names", DEFAULT_NAMES))
    report = check(ports, mend=mend, deep=int(asked["deep"]), names=names, tell=tell)
    _noted(ports, LAST_CHECK, report.with_examples(DEFAULT_NAMES).to_json())
    return report.to_json()


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


COMMANDS: Mapping[str, Command] = {"check": run_check, "restore": run_restore, "canary": run_canary_command}
