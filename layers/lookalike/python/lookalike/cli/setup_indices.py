"""The OpenSearch indices of an account: created, filled and rebuilt by its operator."""

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
from lookalike.service.model_view import current
from lookalike.service.reindex import reindex
from lookalike.settings import SEGMENTS

if TYPE_CHECKING:
    from lookalike.ports import Ports
    from lookalike.settings import Settings
    from lookalike.stores.aws.account import Account
    from lookalike.stores.aws.opensearch_admin import IndexLayout

#: Seconds until no process uses an old generation: each caches it for 30 s, and then finishes calls that it has begun.
SETTLE_SECONDS = 60

#: Seconds for one bulk request while indices are filled: some megabytes of rows, beside the service's own load.
_FILL_CALL_SECONDS = 30.0

#: Refused rows that are printed.
_MAX_REFUSED_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RequestedLayout:
    """The layout that the operator asks for; None leaves a value as it is, or at its default."""

    shards: int | None
    replicas: int | None
    refresh: str | None

    def require_indices(self, vector_store: str) -> None:
        """Raise InvalidArgument if a layout is asked for, and the vector store has no indices of OpenSearch."""
        values = {"--shards": self.shards, "--replicas": self.replicas, "--refresh": self.refresh}
        given = ", ".join(name for name, value in values.items() if value is not None)
        if given and vector_store == SEGMENTS:
            reason = "segments have no shards, replicas or refresh, only indices of OpenSearch have; leave it out"
            raise InvalidArgument(given, reason)


class IndexSetup:
    """Brings the indices of every kind to the requested layout. Every method may raise Unavailable."""

    def __init__(self, settings: Settings, account: Account, requested: RequestedLayout) -> None:
        from lookalike.stores.aws import opensearch_admin  # noqa: PLC0415 - slow to import, and few commands need it

        self._admin = opensearch_admin
        self._settings = settings
        self._account = account
        self._requested = requested

    def check_shards(self) -> None:
        """Raise InvalidArgument if an existing index has another number of shards, which cannot be changed."""
        for name in (name for kind in Kind for name in self._generation(kind).write):
            layout = self._layout(name)
            if layout is not None and self._requested.shards not in (None, layout.shards):
                raise InvalidArgument(
                    "--shards", f"{name} has {layout.shards}, for good; add --rebuild to make new indices and fill them"
                )

    def create_missing(self, *, filled: bool) -> None:
        """Create missing indices, and update the layout of the others.

        Warns about new indices whose pictures are already in the table, unless the caller is about to fill them
        (``filled``).
        """
        if not self._admin.search_on_all_cores(self._account.opensearch):
            typer.echo(
                "lookalike: the domain refuses search.concurrent_segment_search.mode, with which large libraries are "
                "searched in two thirds of the time: let its operator set it to auto",
                err=True,
            )
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
        """Write all rows of the table to the indices, and return the number of rows that the indices refused."""
        settings = replace(self._settings, index_seconds=max(_FILL_CALL_SECONDS, self._settings.index_seconds))
        with closing(bootstrap.build(settings)) as ports:
            return sum(_fill(current(ports), kind) for kind in Kind)

    def rebuild(self) -> int:
        """Replace all indices by new ones, and return the number of rows that these refused.

        Writes go to both generations while the new one is filled; searches then switch to it, and the old indices are
        deleted. The service stays available. An interrupted rebuild may be repeated.
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
                    self._admin.delete_index(self._account.opensearch, name)
            typer.echo(f"{f'Index of {kind}:':<22}{new[kind]}, in place of {old[kind].read}")
        return refused

    def _generation(self, kind: Kind) -> Generation:
        """The stored generation of a kind, or its first one."""
        first = f"lookalike-{str(self._settings.table).lower()}-{kind}-1"
        return self._account.generations.generation(kind) or Generation(first, (first,))

    def _layout(self, name: str) -> IndexLayout | None:
        return self._admin.layout_of(self._account.opensearch, name)

    @cached_property
    def _default_replicas(self) -> int:
        """One copy of each shard if there is another node for it, else none."""
        return min(1, self._admin.data_nodes(self._account.opensearch) - 1)

    def _ensure_index(self, name: str, template: IndexLayout | None = None) -> bool:
        """Create the index, or update its layout; returns whether it was created.

        A new index takes from ``template`` what was not requested.
        """
        layout, requested = self._layout(name), self._requested
        current = layout or template
        replicas, refresh = requested.replicas, requested.refresh
        if replicas is None:  # a copy needs another node; more copies that were requested earlier are kept
            replicas = max(self._default_replicas, current.replicas if current else 0)
        if refresh is None:
            refresh = current.refresh_interval if current else self._admin.REFRESH_INTERVAL
        if layout is None:
            shards = requested.shards or (template.shards if template else 1)
            return self._admin.create_index(
                self._account.opensearch, name, shards=shards, replicas=replicas, refresh_interval=refresh
            )
        self._admin.update_mappings(self._account.opensearch, name)
        if (layout.replicas, layout.refresh_interval) != (replicas, refresh):
            self._admin.update_layout(self._account.opensearch, name, replicas=replicas, refresh_interval=refresh)
            typer.echo(
                f"{name}: {replicas} copies of each shard (there were {layout.replicas}), writes are seen after "
                f"{refresh} (it was {layout.refresh_interval})"
            )
        return False

    def _ensure_next_index(self, name: str, read: str) -> None:
        """Create the next index of a rebuild.

        Raises InvalidArgument if an interrupted rebuild has created it with another number of shards.
        """
        template = self._layout(read)
        self._ensure_index(name, template)
        begun = self._layout(name)
        shards = self._requested.shards or (template.shards if template else 1)
        if begun is not None and begun.shards != shards:
            raise InvalidArgument(
                "--shards", f"{name}, of an interrupted rebuild, has {begun.shards}; pass --shards {begun.shards}"
            )

    def _activate(self, kind: Kind, generation: Generation) -> None:
        """Save a kind's first generation."""
        try:
            self._account.generations.save_generation(kind, generation, None)
        except RevisionConflict:  # a concurrent setup has saved the same name
            return

    def _switch_generations(self, before: Mapping[Kind, Generation], after: Mapping[Kind, Generation]) -> None:
        """Save all kinds' generations, and wait until every process has read them.

        Raises RevisionConflict if another operator changes them at the same time.
        """
        for kind in Kind:
            self._account.generations.save_generation(kind, after[kind], before[kind])
        time.sleep(SETTLE_SECONDS)


def _next_index_name(generation: Generation) -> str:
    """Name of the index that follows the one that is searched: the number at its end is incremented."""
    stem, _, number = generation.read.rpartition("-")
    return f"{stem}-{int(number) + 1}"


def _fill(ports: Ports, kind: Kind) -> int:
    """Fill a kind's indices and print the outcome; returns the number of rows that they refused."""
    with Console(stderr=True).status(f"Filling {kind}") as status:
        result = reindex(ports, kind, lambda rows: status.update(f"Filling {kind}: {rows:,} rows"))
    typer.echo(f"{f'Filled {kind}:':<22}{result.rows:,} rows, {len(result.rejected):,} refused")
    for key, reason in list(result.rejected.items())[:_MAX_REFUSED_SHOWN]:
        typer.echo(f"  {key.library}/{key.id}: {reason}", err=True)
    return len(result.rejected)
