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
    from lookalike.stores.aws.opensearch_index import Shape

#: Seconds until every function has heard of a change of generations, which it believes for 30, and has ended what it
#: was doing.
SETTLING = 60

#: Seconds that the server may take for some megabytes of rows, beside all else that it does.
_FILLING_SECONDS = 30.0

#: Refused rows that are shown.
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the operator wants the indices laid out; None: as they are, or by default."""

    shards: int | None
    replicas: int | None
    refresh: str | None


class Indices:
    """What every kind's indices are, and what they should be. Every method may raise Unavailable."""

    def __init__(self, settings: Settings, account: Account, wanted: Wanted) -> None:
        from lookalike.stores.aws import opensearch_index  # noqa: PLC0415 - slow to import, and few commands need it

        self._server = opensearch_index
        self._settings = settings
        self._account = account
        self._wanted = wanted

    def check_shards(self) -> None:
        """Raise InvalidArgument if an index has another number of shards than is wanted: it keeps its number."""
        for name in (name for kind in Kind for name in self._generation(kind).write):
            shape = self._shape(name)
            if shape is not None and self._wanted.shards not in (None, shape.shards):
                raise InvalidArgument(
                    "--shards", f"{name} has {shape.shards}, for good; add --rebuild to make new indices and fill them"
                )

    def make(self, *, filled: bool) -> None:
        """Make the indices that are not there, and bring the others to what is wanted.

        Says if the table holds pictures that are not in a new one, unless it will be ``filled``.
        """
        for kind in Kind:
            generation = self._generation(kind)
            empty = [name for name in generation.write if self._bring(name)]
            if self._account.generations.generation(kind) is None:
                self._go_live(kind, generation)
            typer.echo(f"{f'Index of {kind}:':<22}{', '.join(generation.write)}")
            if empty and not filled and any(True for _ in self._account.catalog.scan(kind)):
                typer.echo(
                    f"lookalike: {', '.join(empty)} is new and empty, and the table holds pictures of that kind: "
                    "fill it with `lookalike setup --fill`",
                    err=True,
                )

    def fill(self) -> int:
        """Write all that the table holds to the indices; how many rows they refused."""
        patient = replace(self._settings, index_seconds=max(_FILLING_SECONDS, self._settings.index_seconds))
        with closing(bootstrap.build(patient)) as ports:
            return sum(_fill(ports, kind) for kind in Kind)

    def rebuild(self) -> int:
        """Make the next indices, write to both, fill them, search them, and take the old ones away.

        How many rows were refused. Searches and writes go on meanwhile. If it is broken off, it may be repeated.
        """
        old = {kind: self._generation(kind) for kind in Kind}
        new = {kind: _next(generation) for kind, generation in old.items()}
        for kind, name in new.items():
            self._make_next(name, old[kind].read)
        both = {kind: tuple(dict.fromkeys((*old[kind].write, new[kind]))) for kind in Kind}
        typer.echo(f"Changing over to new indices; beside filling them, this takes {3 * SETTLING} seconds.")
        reading_old = {kind: Generation(old[kind].read, both[kind]) for kind in Kind}
        self._change(old, reading_old)
        refused = self.fill()
        reading_new = {kind: Generation(new[kind], both[kind]) for kind in Kind}
        self._change(reading_old, reading_new)
        self._change(reading_new, {kind: Generation(new[kind], (new[kind],)) for kind in Kind})
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

    def _shape(self, name: str) -> Shape | None:
        return self._server.shape_of(self._account.opensearch, name)

    @cached_property
    def _copies(self) -> int:
        """Copies of a shard that there are nodes for, one at most."""
        return min(1, self._server.data_nodes(self._account.opensearch) - 1)

    def _bring(self, name: str, like: Shape | None = None) -> bool:
        """Bring an index to what is wanted; if it is not there, make it, as ``like`` in all else, and say so."""
        shape, wanted = self._shape(name), self._wanted
        as_it_is = shape or like
        replicas, refresh = wanted.replicas, wanted.refresh
        if replicas is None:  # a copy needs another node to be on, and what somebody asked for stays
            replicas = max(self._copies, as_it_is.replicas if as_it_is else 0)
        if refresh is None:
            refresh = as_it_is.refresh_interval if as_it_is else self._server.REFRESH_INTERVAL
        if shape is None:
            shards = wanted.shards or (like.shards if like else 1)
            return self._server.create_index(
                self._account.opensearch, name, shards=shards, replicas=replicas, refresh_interval=refresh
            )
        if (shape.replicas, shape.refresh_interval) != (replicas, refresh):
            self._server.reshape(self._account.opensearch, name, replicas=replicas, refresh_interval=refresh)
            typer.echo(
                f"{name}: {replicas} copies of each shard (there were {shape.replicas}), writes are seen after "
                f"{refresh} (it was {shape.refresh_interval})"
            )
        return False

    def _make_next(self, name: str, read: str) -> None:
        """Raises InvalidArgument if a rebuild that was broken off has begun it with another number of shards."""
        like = self._shape(read)
        self._bring(name, like)
        begun = self._shape(name)
        shards = self._wanted.shards or (like.shards if like else 1)
        if begun is not None and begun.shards != shards:
            raise InvalidArgument("--shards", f"{name}, of a rebuild that was broken off, has {begun.shards}: say so")

    def _go_live(self, kind: Kind, generation: Generation) -> None:
        try:
            self._account.generations.save_generation(kind, generation, None)
        except RevisionConflict:  # another setup runs beside this one, and has named the very same index
            return

    def _change(self, before: Mapping[Kind, Generation], after: Mapping[Kind, Generation]) -> None:
        """Change all kinds' generations, and wait until that is known. Raises RevisionConflict if somebody else does."""
        for kind in Kind:
            self._account.generations.save_generation(kind, after[kind], before[kind])
        time.sleep(SETTLING)


def _next(generation: Generation) -> str:
    """The index after the one that is searched; its name ends with the next number."""
    stem, _, number = generation.read.rpartition("-")
    return f"{stem}-{int(number) + 1}"


def _fill(ports: Ports, kind: Kind) -> int:
    """Fill a kind's indices and say how it went; how many rows they refused."""
    with Console(stderr=True).status(f"Filling {kind}") as status:
        done = fill(ports, kind, lambda rows: status.update(f"Filling {kind}: {rows:,} rows"))
    typer.echo(f"{f'Filled {kind}:':<22}{done.rows:,} rows, {len(done.refused):,} refused")
    for key, reason in list(done.refused.items())[:_SHOWN]:
        typer.echo(f"  {key.library}/{key.id}: {reason}", err=True)
    return len(done.refused)
