"""Embedding all pictures by another model, from their originals, while the service works on.

What is made of a picture is stored first, under its object key. Then its row is read, and written to the new index. A write of
the row that goes on meanwhile stores the row first, and then looks for what is made of it. So one of the two sees the other,
and the index gets the row. Nothing of the live model is touched, and what is done is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lookalike.domain.library import Kind
from lookalike.domain.model_change import ModelsInUse, Phase
from lookalike.domain.picture import Key, Picture
from lookalike.errors import Unavailable
from lookalike.limits.call import usable_cores
from lookalike.ports import Ports
from lookalike.service.add import put_embedding
from lookalike.service.embedded_again import OriginalsEmbedder
from lookalike.service.known_libraries import KnownLibraries, removed_libraries
from lookalike.service.model_view import current, seen_with, shown
from lookalike.service.reindex import write_until_taken

#: Rows whose vectors are looked for, and made, before their index is written.
_BATCH = 64

#: Seconds between two looks whether to stop, while nothing is to be done.
_MAX_PAUSE = 0.5

#: Lost originals that are remembered, so that the state tells which of them are still lost.
_MAX_EXAMPLES = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fill is: pictures looked at, of about how many, how many of these were embedded now, and in which time."""

    done: int = 0
    total: int = 0
    embedded: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches a fill: ``tell`` is told how far it is, and ``stopped`` says whether it is to stop; ``pause`` waits."""

    tell: Callable[[Progress], None] = lambda _progress: None
    stopped: Callable[[], bool] = lambda: False
    pause: Callable[[float], None] = time.sleep


class Stopped(Exception):  # noqa: N818 - no error: it was asked for
    """The fill was told to stop. What is done stays, and the next one goes on there."""


def fill(ports: Ports, settle_seconds: float, watch: Watch | None = None) -> ModelsInUse:
    """Embed all pictures by the other model; return the models in use, with the phase FILLED.

    Processes that do not know yet that there are two models add pictures without the second one's vectors. They know
    ``settle_seconds`` after the fill was begun; what they have added until then is looked for once more.

    Raises Unavailable if a store does not answer, ModelError if the model cannot be used, and Stopped. It may be run again.
    """
    watch = watch or Watch()
    models = ports.stores.embeddings.models()
    if models is None or models.phase is not Phase.FILLING:
        raise Unavailable("no model is being filled")
    filler = Filler(ports, models, watch)
    filler.pass_over(write_all=True)
    end = models.began + 1000 * settle_seconds
    while ports.clock() < end:
        filler.pause(min(_MAX_PAUSE, (end - ports.clock()) / 1000))
    lost = filler.pass_over(write_all=False)
    now = ports.stores.embeddings.models()
    if now is None or now.phase is not Phase.FILLING or now.other != models.other:
        raise Unavailable("the change of models was given up meanwhile")
    examples = tuple(f"{key.library}/{key.id}" for key in lost[:_MAX_EXAMPLES])
    filled = replace(now.begun(Phase.FILLED, ports.clock()), lost=len(lost), examples=examples)
    return ports.stores.embeddings.save_models(filled, now)


class Filler:
    """Embeds what the other model in use has not embedded yet. Raises ValueError if there is no other model."""

    def __init__(self, ports: Ports, models: ModelsInUse, watch: Watch) -> None:
        if models.other is None:
            raise ValueError("no other model")
        seen = seen_with(ports, models, models.other)
        self._view = seen.view
        self._ports = replace(seen, view=None if seen.view is None else replace(seen.view, second=None))
        self._model = models.other.name
        self._raw = ports
        self._index = ports.stores.indices.of(seen.embedder)
        self._rate = models.rate
        self._watch = watch
        self._next_at = time.monotonic()

    def pass_over(self, *, write_all: bool) -> list[Key]:
        """Embed every live picture that the model has no vector of; return the keys of those that cannot be embedded.

        ``write_all``: those that it has one of are written to its index, too. A fill that was killed may have left them out.
        Pictures of removed libraries are left out.
        """
        began, lost, embedded, done = time.monotonic(), list[Key](), 0, 0
        total = _live_pictures(self._raw)
        originals = OriginalsEmbedder(self._ports, KnownLibraries(self._ports))
        with ThreadPoolExecutor(max(1, usable_cores() - 1), thread_name_prefix="fill") as pool:
            for batch in self._batches():
                made, missing = self._embed(pool, originals, batch)
                lost += missing
                keys = {row.key for row in batch} if write_all else {row.key for row in made}
                self._write([row for row in batch if row.key in keys])
                done, embedded = done + len(batch), embedded + len(made)
                self._watch.tell(Progress(done, max(total, done), embedded, time.monotonic() - began))
        return lost

    def pause(self, seconds: float) -> None:
        """Wait. Raises Stopped."""
        if self._watch.stopped():
            raise Stopped
        self._watch.pause(seconds)

    def _batches(self) -> Iterator[Sequence[Picture]]:
        removed = removed_libraries(self._raw)
        for kind in Kind:
            for page in self._raw.stores.catalog.scan(kind):
                rows = [row for row in page if row.live and row.key.library not in removed]
                for begin in range(0, len(rows), _BATCH):
                    yield rows[begin : begin + _BATCH]

    def _embed(
        self, pool: ThreadPoolExecutor, originals: OriginalsEmbedder, batch: Sequence[Picture]
    ) -> tuple[list[Picture], list[Key]]:
        """Embed those rows of a batch that lack a vector; return them, and the keys of those that cannot be embedded."""
        lacking = [row for row in shown(batch, self._model, self._raw.stores.embeddings) if row.model != self._model]
        waiting = [(row, pool.submit(self._embed_one, originals, row)) for row in self._paced(lacking)]
        outcomes = [(row, one.result()) for row, one in waiting]
        made = [row for row, outcome in outcomes if outcome]
        return made, [row.key for row, outcome in outcomes if outcome is False]

    def _paced(self, rows: Sequence[Picture]) -> Iterator[Picture]:
        """Yield rows no faster than the rate. Raises Stopped."""
        for row in rows:
            while (wait := self._next_at - time.monotonic()) > 0:
                self.pause(min(wait, _MAX_PAUSE))
            self.pause(0)
            self._next_at = max(self._next_at, time.monotonic() - 1) + 1 / self._rate
            yield row

    def _embed_one(self, originals: OriginalsEmbedder, row: Picture) -> bool | None:
        """Return whether the row has a vector of the model now; None if it does not matter any more."""
        again = originals.embed_again(row)
        if again is None:
            return None  # its library is gone
        catalog = self._raw.stores.catalog
        if again.embedding is None:
            return None if catalog.changed({row.key: row.revision}) else False
        put_embedding(self._raw, self._model, row, again.embedding)
        now = catalog.picture(row.key)
        if now is None or now.object_key != row.object_key:  # purged or replaced meanwhile
            self._raw.stores.embeddings.remove([self._model], [row.object_key])
            return None
        return True

    def _write(self, rows: Sequence[Picture]) -> None:
        """Write rows to the model's index as they are now. Raises Unavailable if it does not take them."""
        if not rows:
            return
        now = self._raw.stores.catalog.changed({row.key: -1 for row in rows}).values()
        there = [row for row in now if row is not None]
        seen = shown(there, self._model, self._raw.stores.embeddings)
        wanted = [row for row in seen if row.model == self._model or not row.live]
        refused = write_until_taken(self._index, wanted, self._watch.pause)
        if refused:
            raise Unavailable(f"the index refuses {len(refused)} rows: {next(iter(refused.values()))[:200]}")


def _live_pictures(ports: Ports) -> int:
    """Return about how many pictures there are: those that searches find."""
    now = current(ports)
    tenants = {application.tenant for application in ports.applications.applications()}
    libraries = [library.uid for tenant in tenants for library in ports.catalog.libraries(tenant)]
    return now.index.count(*libraries) if libraries else 0
