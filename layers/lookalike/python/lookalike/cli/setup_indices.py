"""The indices of an account, as its operator makes, fills and rebuilds them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from lookalike import bootstrap
from lookalike.domain.library import Kind
from lookalike.domain.search import Generation
from lookalike.errors import InvalidArgument, RevisionConflict
from lookalike.service.reindex import fill

if TYPE_CHECKING:
    from lookalike.ports import Ports
    from lookalike.settings import Settings
    from lookalike.stores.aws.account import Account
    from lookalike.stores.aws.opensearch_index import IndexLayout

#: Seconds until every function has heard of a change of generations, which it believes for 30, and has ended what it
#: was doing.
SETTLE_SECONDS = 60

#: Seconds that the server may take for some megabytes of rows, beside all else that it does.
_FILL_CALL_SECONDS = 30.0

#: Refused rows that are shown.
_MAX_REFUSED_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RequestedLayout:
    """How the operator wants the indices laid out; None: as they are, or by default."""

    shards: int | None
    replicas: int | None
    refresh: str | None


class IndexSetup:
    """What every kind's indices are, and what they should be. Every method may raise Unavailable."""

    def __init__(self, settings: Settings, account: Account, requested: RequestedLayout) -> None:
        from lookalike.stores.aws import opensearch_index  # noqa: PLC0415 - slow to import, and few commands need it

        self._server = opensearch_index
        self._settings = settings
        self._account = account
        self._requested = requested

    def check_shards(self) -> None:
        """Raise InvalidArgument if an index has another number of shards than is wanted: it keeps its number."""
        for name in (name for kind in Kind for name in self._generation(kind).write):
            layout = self._layout(name)
            if layout is not None and self._requested.shards not in (None, layout.shards):
                raise InvalidArgument(
                    "--shards", f"{name} has {layout.shards}, for good; add --rebuild to make new indices and fill them"
                )

    def create_missing(self, *, filled: bool) -> None:
        """Make the indices that are not there, and bring the others to what is wanted.

        Says if the table holds pictures that are not in a new one, unless it will be ``filled``.
        """
        for kind in Kind:
            generation = self._generation(kind)
            empty = [name for name in generation.write if self._ensure_index(name)]
            if self._account.generations.generation(kind) is None:
                self._activate(kind, generation)
            typer.echo(f"{f'Index of {kind}:':<22}{', '.join(generation.write)}")
            if empty and not filled and any(True for _ in self._account.catalog.scan(kind)):
                typer.echo(
                    f"lookalike: {', '.join(empty)} is new and empty, and the table holds pictures of that kind: "
                    "fill it with `lookalike setup --fill`",
                    err=True,
                )

    def fill(self) -> int:
        """Write all that the table holds to the indices; how many rows they refused."""
        settings = replace(self._settings, index_seconds=max(_FILL_CALL_SECONDS, self._settings.index_seconds))
        with closing(bootstrap.build(settings)) as ports:
            return sum(_fill(ports, kind) for kind in Kind)

    def rebuild(self) -> int:
        """Make the next indices, write to both, fill them, search them, and take the old ones away.

        How many rows were refused. Searches and writes go on meanwhile. If it is broken off, it may be repeated.
        """
        old = {kind: self._generation(kind) for kind in Kind}
        new = {kind: _next_index_name(generation) for kind, generation in old.items()}
        for kind, name in new.items():
            self._ensure_next_index(name, old[kind].read)
        both = {kind: tuple(dict.fromkeys((*old[kind].write, new[kind]))) for kind in Kind}
        typer.echo(f"Changing over to new indices; beside filling them, this takes {3 * SETTLE_SECONDS} seconds.")
        reading_old = {kind: Generation(old[kind].read, both[kind]) for kind in Kind}
        self._switch_generations(old, reading_old)
        refused = self.fill()
        reading_new = {kind: Generation(new[kind], both[kind]) for kind in Kind}
        self._switch_generations(reading_old, reading_new)
        self._switch_generations(reading_new, {kind: Generation(new[kind], (new[kind],)) for kind in Kind})
        for kind in Kind:
            for name in old[kind].write:
                if name != new[kind]:
                    self._server.delete_index(self._account.opensearch, name)
            typer.echo(f"{f'Index of {kind}:':<22}{new[kind]}, in place of {old[kind].read}")
        return refused

    def _generation(self, kind: Kind) -> Generation:
        """What holds for that kind, or the first one to be."""
        first = f"lookalike-{str(self._settings.table).lower()}-{kind}-1"
        return self._account.generations.generation(kind) or Generation(first, (first,))

    def _layout(self, name: str) -> IndexLayout | None:
        return self._server.layout_of(self._account.opensearch, name)

    @cached_property
    def _default_replicas(self) -> int:
        """Copies of a shard that there are nodes for, one at most."""
        return min(1, self._server.data_nodes(self._account.opensearch) - 1)

    def _ensure_index(self, name: str, template: IndexLayout | None = None) -> bool:
        """Bring an index to what is wanted; if it is not there, make it, as ``like`` in all else, and say so."""
        layout, requested = self._layout(name), self._requested
        current = layout or template
        replicas, refresh = requested.replicas, requested.refresh
        if replicas is None:  # a copy needs another node to be on, and what somebody asked for stays
            replicas = max(self._default_replicas, current.replicas if current else 0)
        if refresh is None:
            refresh = current.refresh_interval if current else self._server.REFRESH_INTERVAL
        if layout is None:
            shards = requested.shards or (template.shards if template else 1)
            return self._server.create_index(
                self._account.opensearch, name, shards=shards, replicas=replicas, refresh_interval=refresh
            )
        if (layout.replicas, layout.refresh_interval) != (replicas, refresh):
            self._server.update_layout(self._account.opensearch, name, replicas=replicas, refresh_interval=refresh)
            typer.echo(
                f"{name}: {replicas} copies of each shard (there were {layout.replicas}), writes are seen after "
                f"{refresh} (it was {layout.refresh_interval})"
            )
        return False

    def _ensure_next_index(self, name: str, read: str) -> None:
        """Raises InvalidArgument if a rebuild that was broken off has begun it with another number of shards."""
        template = self._layout(read)
        self._ensure_index(name, template)
        begun = self._layout(name)
        shards = self._requested.shards or (template.shards if template else 1)
        if begun is not None and begun.shards != shards:
            raise InvalidArgument("--shards", f"{name}, of a rebuild that was broken off, has {begun.shards}: say so")

    def _activate(self, kind: Kind, generation: Generation) -> None:
        try:
            self._account.generations.save_generation(kind, generation, None)
        except RevisionConflict:  # another setup runs beside this one, and has named the very same index
            return

    def _switch_generations(self, before: Mapping[Kind, Generation], after: Mapping[Kind, Generation]) -> None:
        """Change all kinds' generations, and wait until that is known. Raises RevisionConflict if somebody else does."""
        for kind in Kind:
            self._account.generations.save_generation(kind, after[kind], before[kind])
        time.sleep(SETTLE_SECONDS)


def _next_index_name(generation: Generation) -> str:
    """The index after the one that is searched; its name ends with the next number."""
    stem, _, number = generation.read.rpartition("-")
    return f"{stem}-{int(number) + 1}"


def _fill(ports: Ports, kind: Kind) -> int:
    """Fill a kind's indices and say how it went; how many rows they refused."""
    with Console(stderr=True).status(f"Filling {kind}") as status:
        result = fill(ports, kind, lambda rows: status.update(f"Filling {kind}: {rows:,} rows"))
    typer.echo(f"{f'Filled {kind}:':<22}{result.rows:,} rows, {len(result.refused):,} refused")
    for key, reason in list(result.refused.items())[:_MAX_REFUSED_SHOWN]:
        typer.echo(f"  {key.library}/{key.id}: {reason}", err=True)
    return len(result.refused)
