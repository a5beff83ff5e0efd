"""How far a change of models is, for whoever watches the service: kept, as a fill may run in another process."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lookalike.domain.model_change import ModelsInUse, Phase
from lookalike.errors import Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.service.model_fill import Progress
from lookalike.service.reports import Reported, last_report, note_report


@dataclass(frozen=True, slots=True)
class Filling:
    """How far a fill was at Unix millisecond ``at``: pictures that it had looked at, of about how many."""

    at: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class OtherModel:
    """The model beside the live one, and how far its fill is, if it is being filled and has told so."""

    name: str
    phase: Phase
    began: int
    filling: Filling | None


def note_fill(ports: Ports, progress: Progress) -> None:
    """Keep how far the present fill is, best effort."""
    try:
        models = ports.stores.embeddings.models()
    except Unavailable as error:
        logger.warning("a report could not be kept", extra={"operation": "reembed", **error_fields(error)})
        return
    if models is None or models.phase is not Phase.FILLING:
        return
    said = {"fill": _name_of(models), "at": ports.clock(), "done": progress.done, "total": progress.total}
    note_report(ports, Reported.FILL, json.dumps(said))


def other_model(ports: Ports) -> OtherModel | None:
    """Return the model beside the live one; None if there is none. Raises Unavailable."""
    models = None if ports.models is None else ports.models.in_use()
    if models is None or models.other is None or models.phase is None:
        return None
    said = last_report(ports, Reported.FILL) if models.phase is Phase.FILLING else None
    is_of_this = said is not None and said["fill"] == _name_of(models)
    filling = Filling(said["at"], said["done"], said["total"]) if said is not None and is_of_this else None
    return OtherModel(models.other.name, models.phase, models.began, filling)


def _name_of(models: ModelsInUse) -> str:
    """Return what tells this fill from every other."""
    return f"{'' if models.other is None else models.other.card}/{models.began}"
