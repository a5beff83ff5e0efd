"""An OpenSearch index for each kind and model."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from lookalike.domain.library import Kind
from lookalike.domain.search import Generation
from lookalike.errors import Unavailable
from lookalike.ports import Embedder, Indices
from lookalike.stores.aws import opensearch_admin
from lookalike.stores.aws.dynamodb_generations import DynamoGenerations
from lookalike.stores.aws.dynamodb_table import Table
from lookalike.stores.aws.opensearch_index import OpenSearchIndex

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

#: Characters that the name of an index does not take from a model's name.
_OTHER = re.compile("[^a-z0-9]+")

#: Characters of a model's name in that of an index, whose length is limited.
_MAX_NAME = 60


class OpenSearchModels(Indices):
    """The indices of a further model are beside those in use, with their layout, until these are dropped.

    The generations that are no model's own belong to the model that was there first. Dropping it gives them the indices of the
    one that is live.
    """

    def __init__(self, client: OpenSearch, table: Table, seconds: float) -> None:
        self._client = client
        self._table = table
        self._seconds = seconds
        self._lock = threading.Lock()
        self._indices: dict[str, OpenSearchIndex] = {}

    def of(self, model: Embedder) -> OpenSearchIndex:
        name = model.model
        with self._lock:
            if name not in self._indices:
                generations = DynamoGenerations(self._table, name)
                self._indices[name] = OpenSearchIndex(self._client, generations, seconds=self._seconds, model=name)
            return self._indices[name]

    def make(self, model: Embedder) -> None:
        own = DynamoGenerations(self._table, model.model)
        for kind in Kind:
            if own.own(kind) is not None:
                continue
            base = own.generation(kind)
            if base is None:
                raise Unavailable(f"OpenSearch: there is no index of {kind}: run `lookalike setup`")
            name = _name(base.read, kind, model.model)
            if name not in base.write:  # left by one that was given up, and of no use
                opensearch_admin.delete_index(self._client, name)
            self._create(name, base.read)
            own.save_own(kind, Generation(name, (name,)))

    def drop(self, model: str, live: str) -> None:
        dropped, kept = DynamoGenerations(self._table, model), DynamoGenerations(self._table, live)
        for kind in Kind:
            shared, of_live = dropped.shared(kind), kept.own(kind)
            if of_live is None:  # the live model is the first one
                self._delete(dropped.own(kind))
                dropped.remove_own(kind)
                continue
            if shared is not None and shared != of_live:
                self._delete(shared)
                kept.save_generation(kind, of_live, shared)
            kept.remove_own(kind)
        with self._lock:
            self._indices.pop(model, None)

    def _create(self, name: str, like: str) -> None:
        layout = opensearch_admin.layout_of(self._client, like)
        if layout is None:
            raise Unavailable(f"OpenSearch: the index {like} is missing: run `lookalike setup --fill`")
        opensearch_admin.create_index(
            self._client,
            name,
            shards=layout.shards,
            replicas=layout.replicas,
            refresh_interval=layout.refresh_interval,
        )

    def _delete(self, generation: Generation | None) -> None:
        for name in () if generation is None else generation.write:
            opensearch_admin.delete_index(self._client, name)


def _name(base: str, kind: Kind, model: str) -> str:
    """Return the name of a model's index: what the one in use begins with up to the kind, then the model's."""
    stem = base.partition(f"-{kind}-")[0]
    return f"{stem}-{kind}-{_OTHER.sub('-', model.lower()).strip('-')[:_MAX_NAME]}-1"
