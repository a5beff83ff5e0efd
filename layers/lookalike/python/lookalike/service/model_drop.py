"""Removing a model that is not needed any more: it was live before, or is not to go live after all.

Rows of pictures that were added with it get the live model's vector first, which was kept beside them until then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lookalike.domain.library import Kind
from lookalike.domain.model_change import ModelRef, ModelsInUse, Phase
from lookalike.domain.picture import Picture, State, next_revision
from lookalike.errors import ModelError, Unavailable
from lookalike.ports import Ports
from lookalike.service.catalog_writes import MAX_ATTEMPTS, write_row
from lookalike.service.model_change import ChangeRefused
from lookalike.service.model_fill import Watch
from lookalike.service.reindex import write_until_taken


def drop(ports: Ports, settle_seconds: float, watch: Watch) -> ModelsInUse | None:
    """Remove the other model, with all that it has made; return the models in use, None if only the configured one is left.

    Every process knows after ``settle_seconds`` that it is not used. An interrupted drop is finished by another one. Raises
    ChangeRefused or Unavailable.
    """
    embeddings = ports.stores.embeddings
    models = embeddings.models()
    if models is None or models.other is None:
        raise ChangeRefused("there is no other model to drop")
    dropped = models.other
    if models.has_two:
        if models.phase is not Phase.DROPPING:
            models = embeddings.save_models(models.begun(Phase.DROPPING, ports.clock()), models)
        _settle(ports, models, settle_seconds, watch)
        _Folder(ports, models.live, watch).fold_all()
        for model in (dropped.name, models.live.name):  # what is left of the live one's belongs to no row
            for keys in embeddings.keys(model):
                embeddings.remove([model], keys)
        ports.stores.indices.drop(dropped.name, models.live.name)
    return _forget(ports, models, dropped)


def _settle(ports: Ports, models: ModelsInUse, seconds: float, watch: Watch) -> None:
    end = models.began + 1000 * seconds
    while ports.clock() < end:
        watch.pause(min(0.5, (end - ports.clock()) / 1000))


def _forget(ports: Ports, models: ModelsInUse, dropped: ModelRef) -> ModelsInUse | None:
    """Remove the files of a dropped model. If the live one is configured, no trace of a change is left."""
    embeddings, files = ports.stores.embeddings, ports.stores.model_files
    if _is_configured(ports, models.live):
        embeddings.forget_models()
        files.remove(models.live.card)
        left = None
    else:
        alone = replace(models, other=None, phase=None, lost=0, examples=(), began=ports.clock())
        left = embeddings.save_models(alone, models)
    files.remove(dropped.card)
    return left


def _is_configured(ports: Ports, model: ModelRef) -> bool:
    try:
        return ports.models is not None and ports.models.configured().card == model.card
    except ModelError:
        return False


class _Folder:
    """Gives rows the live model's vector."""

    def __init__(self, ports: Ports, live: ModelRef, watch: Watch) -> None:
        if ports.models is None:
            raise ChangeRefused("no model can be opened here")
        self._ports = ports
        self._live = live.name
        self._index = ports.stores.indices.of(ports.models.opened(live)[0])
        self._pause: Callable[[float], None] = watch.pause

    def fold_all(self) -> None:
        """Give every row of another model that has a vector of the live one that vector."""
        for kind in Kind:
            for batch in self._ports.stores.catalog.scan(kind):
                folded = [done for row in batch if row.model != self._live and (done := self._fold(row)) is not None]
                write_until_taken(self._index, folded, self._pause)
                self._ports.stores.embeddings.remove([self._live], [row.object_key for row in folded])

    def _fold(self, row: Picture) -> Picture | None:
        """Return the row as it is stored now; None if it stays as it is."""
        catalog, embeddings = self._ports.stores.catalog, self._ports.stores.embeddings
        for _ in range(MAX_ATTEMPTS):
            now = catalog.picture(row.key)
            if now is None or now.model == self._live or now.state not in (State.LIVE, State.DELETED):
                return None
            vector = embeddings.vectors(self._live, [now.object_key]).get(now.object_key)
            if vector is None:
                return None
            self._put_map(now)
            folded = now.but(revision=next_revision(now.revision, self._ports.clock()), model=self._live, vector=vector)
            if write_row(self._ports, folded, now.revision):
                return folded
        raise Unavailable(f"catalog: {row.key.library}/{row.key.id} changes too fast")

    def _put_map(self, row: Picture) -> None:
        """Store the live model's local map in place of the other's."""
        if row.kind is not Kind.SAME:
            return
        feature_map = self._ports.stores.embeddings.maps(self._live, [row.object_key]).get(row.object_key, b"")
        if feature_map:
            self._ports.stores.maps.put_map(row.object_key, feature_map)
        else:
            self._ports.stores.maps.remove_maps([row.object_key])
