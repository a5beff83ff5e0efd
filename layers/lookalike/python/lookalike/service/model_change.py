"""Changing the model that pictures are searched with, and back.

A further model is registered, and embeds all pictures in the background (:mod:`~lookalike.service.model_fill`); whatever is
added, changed or deleted from then on is written for both. Once it has all of them, and a look at each proves it, one row is
written, and searches use it. Another one takes it back. The vectors that are not needed any more are removed when the operator
says so.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from lookalike.domain.library import Kind
from lookalike.domain.model_change import ModelRef, ModelsInUse, Phase
from lookalike.domain.picture import Picture
from lookalike.errors import LookalikeError
from lookalike.ports import Models, Ports
from lookalike.service.deep_check import look_deep
from lookalike.service.known_libraries import KnownLibraries
from lookalike.service.model_fill import Filler, Watch
from lookalike.service.model_view import seen_with, shown
from lookalike.service.reindex import write_until_taken
from lookalike.service.second_model_check import differing

#: Originals that are embedded again, and searched by themselves, before a model goes live.
_DEEP = 10

#: Looks at a row whose entry differs: it may be written just now.
_LOOKS = 3

#: Seconds between them.
_LOOK_SECONDS = 1.0


class ChangeRefused(LookalikeError):  # noqa: N818 - named as its relatives in lookalike.errors
    """Models cannot be changed like that now; nothing has changed."""


def begin(ports: Ports, model: ModelRef, rate: float) -> ModelsInUse:
    """Register a model whose files are kept, to be filled; return the models in use. With the same model, only the rate changes.

    One that differs from the live model in scores alone needs no fill. Raises ChangeRefused, ModelError or Unavailable.
    """
    opener = _opener(ports)
    stores = ports.stores
    models = stores.embeddings.models()
    if models is not None and models.other == model and models.phase in (Phase.FILLING, Phase.FILLED):
        return stores.embeddings.save_models(replace(models, rate=rate), models)
    live = opener.configured() if models is None else models.live
    _check(models, live, model)
    embedder, _ = opener.opened(model)
    if models is None:
        stores.model_files.keep(live.card, opener.configured_files())
    same_vectors = model.has_vectors_of(live)
    if not same_vectors:
        stores.indices.make(embedder)
    phase = Phase.FILLED if same_vectors else Phase.FILLING
    return stores.embeddings.save_models(ModelsInUse(live, model, phase, ports.clock(), rate), models)


def _check(models: ModelsInUse | None, live: ModelRef, model: ModelRef) -> None:
    """Raise ChangeRefused if the model cannot be registered beside those in use."""
    if live.card == model.card:
        raise ChangeRefused(f"{model.name} is the model that searches use")
    if models is not None and models.other is not None:
        raise ChangeRefused(
            f"{models.other.name} is {models.phase} beside {live.name}; drop it first: lookalike reembed --drop"
        )
    if live.name == model.name and live.graph != model.graph:
        raise ChangeRefused(
            f"{model.name} is the name of the model in use, and this is another one; name it otherwise in its card"
        )


def switch(ports: Ports, watch: Watch, *, leave_lost: bool = False) -> ModelsInUse:
    """Let searches use the other model, after a look at all that it has; return the models in use.

    Raises ChangeRefused if it lacks pictures (``leave_lost``: others than those whose originals are lost) or has other ones.
    """
    models = _with_other(ports)
    if models.phase is Phase.DROPPING:
        raise ChangeRefused(_being_dropped(models))
    if models.phase is not Phase.FILLED:
        raise ChangeRefused(f"{_other(models).name} is {models.phase}: it goes live once it is filled")
    if models.has_two:
        lost = Filler(ports, models, watch).pass_over(write_all=False)
        if lost and not leave_lost:
            raise ChangeRefused(
                f"pictures without a readable original would not be found any more: {len(lost)}, "
                f"{KnownLibraries(ports).name(lost[0])} among them; restore the originals, or say --leave-lost"
            )
        _prove(ports, models, watch)
    return ports.stores.embeddings.save_models(models.swapped(Phase.RETIRED, ports.clock()), models)


def back(ports: Ports) -> ModelsInUse:
    """Let searches use the model again that they used before; return the models in use. Raises ChangeRefused."""
    models = _with_other(ports)
    if models.phase is Phase.DROPPING:
        raise ChangeRefused(_being_dropped(models))
    if models.phase is not Phase.RETIRED:
        raise ChangeRefused(f"{models.live.name} has not taken the place of another model")
    return ports.stores.embeddings.save_models(models.swapped(Phase.FILLED, ports.clock()), models)


def _prove(ports: Ports, models: ModelsInUse, watch: Watch) -> None:
    """Raise ChangeRefused unless the other model's index has every row as it is, and finds a sample of originals first."""
    seen = seen_with(ports, models, _other(models))
    sample: list[Picture] = []
    compared, libraries = 0, KnownLibraries(seen)
    for batch in seen.stores.catalog.every_row():
        rows = [row for row in shown(batch, seen.embedder.model, seen.stores.embeddings) if _is_judged(row, seen)]
        wrong = _differing(seen, rows)
        for look in range(_LOOKS):
            if not wrong:
                break
            watch.pause(_LOOK_SECONDS if look else 0.0)
            again = [
                row for one in wrong if (row := seen.catalog.picture(one.key)) is not None and _is_judged(row, seen)
            ]
            write_until_taken(seen.index, again, watch.pause)
            wrong = _differing(seen, again)
        if wrong:
            raise ChangeRefused(
                f"the index of {seen.embedder.model} differs from the catalog, in {libraries.name(wrong[0].key)} for one; "
                "nothing has changed"
            )
        for row in rows:
            compared += row.live
            _draw(sample, row, compared)
    for finding in look_deep(seen, libraries, [(row, row.kind is Kind.SAME) for row in sample]):
        name = finding.name if finding.key is None else libraries.name(finding.key)
        raise ChangeRefused(f"{seen.embedder.model} fails at {name}: {finding.fault}; nothing has changed")


def _is_judged(row: Picture, seen: Ports) -> bool:
    """Whether a row must be in the model's index as it is: not if the model has no vector of it, which a fill has told of."""
    return row.model == seen.embedder.model or not row.live


def _differing(seen: Ports, rows: Sequence[Picture]) -> list[Picture]:
    """Return the rows whose entries in the model's index are not as they should be."""
    return [row for _, row in differing(seen, rows)]


def _draw(sample: list[Picture], row: Picture, count: int) -> None:
    """Keep a live row with equal chance among ``count`` (Vitter, algorithm R)."""
    if not row.live:
        return
    if len(sample) < _DEEP:
        sample.append(row)
    elif (place := random.randrange(count)) < _DEEP:  # noqa: S311 - no secret
        sample[place] = row


def _opener(ports: Ports) -> Models:
    if ports.models is None:
        raise ChangeRefused("no further model can be opened here")
    return ports.models


def _with_other(ports: Ports) -> ModelsInUse:
    models = ports.stores.embeddings.models()
    if models is None or models.other is None:
        raise ChangeRefused("there is one model; another one is made ready by lookalike reembed --model FILE")
    return models


def _being_dropped(models: ModelsInUse) -> str:
    return f"{_other(models).name} is being dropped; lookalike reembed --drop finishes that"


def _other(models: ModelsInUse) -> ModelRef:
    if models.other is None:
        raise ValueError("no other model")
    return models.other
