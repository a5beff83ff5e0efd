"""What a server can be asked for by commands on its own machine, and what commands do themselves where none runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lookalike.errors import InvalidArgument, LibraryNotFound, PictureNotFound
from lookalike.ports import Ports
from lookalike.server.control import Command, Tell
from lookalike.service.applications import find_application
from lookalike.service.canary import run_canary
from lookalike.service.capacity import limited
from lookalike.service.consistency import DEFAULT_NAMES, check
from lookalike.service.groups import name_of
from lookalike.service.libraries import find_library
from lookalike.service.mend import Mender
from lookalike.service.model_view import current
from lookalike.service.reports import Reported, note_report
from lookalike.service.restore import restore
from lookalike.service.second_model_check import with_second_model


def run_check(ports: Ports, asked: Mapping[str, Any], tell: Tell) -> str:
    """Check the stores; return the report.

    ``repair``: mend, ``rate`` rows a second; ``deep``: originals to embed again; ``names``: findings of each fault to name.
    """
    mend = Mender(ports, float(asked["rate"])) if asked["repair"] else None
    names = int(asked.get("names", DEFAULT_NAMES))
    report = check(ports, mend=mend, deep=int(asked["deep"]), names=names, tell=tell)
    report = with_second_model(ports, report, repair=bool(asked["repair"]), names=names)
    note_report(ports, Reported.CHECK, report.with_examples(DEFAULT_NAMES).to_json())
    return report.to_json()


def run_restore(ports: Ports, asked: Mapping[str, Any], _tell: Tell) -> str:
    """Restore a deleted picture, by its id or sign in the library of that name of the application's tenant.

    Returns its row's facts. It holds places as an add by the ``application`` (its name or access key) does. Raises
    InvalidArgument if there is none, and LibraryFull or ApplicationFull if there is no room.
    """
    application = find_application(ports.applications, asked["application"])
    try:
        library = find_library(ports, application.tenant, asked["library"])
        picture = restore(limited(ports, application), library, asked["picture"])
    except LibraryNotFound as error:
        raise InvalidArgument("--library", f"that application's tenant has none called {asked['library']}") from error
    except PictureNotFound as error:
        reason = f"{asked['picture']} is not in {asked['library']}, nor is it kept there until its purge"
        raise InvalidArgument("picture", reason) from error
    return json.dumps({"library": library.name, "id": name_of(library, picture), "revision": picture.revision})


def run_canary_command(ports: Ports, asked: Mapping[str, Any], tell: Tell) -> str:
    """Run a canary; return its report. ``recall``: vectors by which recall is measured."""
    tell("adding, finding and deleting a picture")
    report = run_canary(ports, int(asked["recall"])).to_json()
    note_report(ports, Reported.CANARY, report)
    return report


def _by_live_model(command: Command) -> Command:
    """Return the command, done with the model that searches use."""
    return lambda ports, asked, tell: command(current(ports), asked, tell)


COMMANDS: Mapping[str, Command] = {
    "check": _by_live_model(run_check),
    "restore": _by_live_model(run_restore),
    "canary": _by_live_model(run_canary_command),
}
