"""Which of the pictures are still lost to a model, that a fill could not embed."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from lookalike.domain.model_change import ModelsInUse, Phase
from lookalike.domain.picture import Key, Picture
from lookalike.ports import Ports
from lookalike.service.known_libraries import KnownLibraries
from lookalike.service.model_view import shown


def with_lost_now(ports: Ports, models: ModelsInUse) -> ModelsInUse:
    """Return the models with those of the remembered lost pictures that still are so, by their names for people.

    One is no longer lost that has a vector of the model by now, whose original is there again, or which is gone itself. Of
    those that are not remembered, all count. Raises Unavailable.
    """
    if not models.lost:
        return models
    filled = models.other if models.phase is Phase.FILLED and models.other is not None else models.live
    libraries = KnownLibraries(ports)
    keys = [Key(library, id_) for library, _, id_ in (name.partition("/") for name in models.examples)]
    found = [row for key in keys if key.library in libraries.by_uid and (row := ports.stores.catalog.picture(key))]
    lacking = shown([row for row in found if row.live], filled.name, ports.stores.embeddings)
    lost = [row.key for row in lacking if row.model != filled.name and not _has_original(ports, row)]
    still = models.lost - len(keys) + len(lost)
    return replace(models, lost=still, examples=tuple(map(libraries.name, lost)))


def _has_original(ports: Ports, row: Picture) -> bool:
    data = ports.stores.originals.get(row.object_key)
    return data is not None and sha256(data).hexdigest() == row.file_digest
