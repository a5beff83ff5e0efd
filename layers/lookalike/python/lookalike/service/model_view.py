"""The stores as one model sees them, while there are vectors of two.

A row holds the vector of the model that its picture was added with; what another model makes of the picture is kept beside
it, by object key. Through a view, every row appears with the vector of the view's model, as far as there is one, and is
stored again with its own. So nothing else has to know of two models, and neither a switch nor a way back writes a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from lookalike.domain.inventory import IndexEntry, StoredMap
from lookalike.domain.library import Kind
from lookalike.domain.model_change import ModelRef, ModelsInUse
from lookalike.domain.picture import Key, Picture, State, Vector
from lookalike.domain.search import Candidate, Query
from lookalike.errors import IndexWriteError, Unavailable
from lookalike.ports import Catalog, Embeddings, MapStore, Ports, VectorIndex, View
from lookalike.service.delegating_catalog import DelegatingCatalog

#: Does something with the index of a model.
_Step = Callable[[str, VectorIndex], None]


def current(ports: Ports) -> Ports:
    """Return the ports of a call that begins now: with the model that searches use. Raises Unavailable or ModelError."""
    models = None if ports.models is None or ports.view is not None else ports.models.in_use()
    return ports if models is None else seen_with(ports, models, models.live)


def seen_with(ports: Ports, models: ModelsInUse, model: ModelRef) -> Ports:
    """Return the ports as one of the models in use sees them. Raises Unavailable or ModelError."""
    if ports.models is None:
        raise ValueError("no models to be opened")
    embedder, verifier = ports.models.opened(model)
    stores = ports.stores
    index = stores.indices.of(embedder)
    view = View(model, stores.catalog, index, stores.maps)
    if models.has_two:
        others = [one for one in models.written if one.name != model.name]
        second = ports.models.opened(others[0])[0] if others else None
        indices = {model.name: index} | ({} if second is None else {second.model: stores.indices.of(second)})
        known = tuple(one.name for one in (models.live, models.other) if one is not None)
        view = View(
            model,
            SeenCatalog(stores.catalog, stores.embeddings, model.name),
            SeenIndex(indices, model.name, stores.embeddings),
            SeenMaps(stores.maps, stores.embeddings, model.name, known),
            second,
            of_two=True,
        )
    return replace(ports, embedder=embedder, verifier=verifier, view=view)


def seen_by_live_model(catalog: Catalog, maps: MapStore, embeddings: Embeddings) -> tuple[Catalog, MapStore]:
    """Return the catalog and the local maps as the model sees them that searches use. Raises Unavailable."""
    models = embeddings.models()
    if models is None or not models.has_two:
        return catalog, maps
    name = models.live.name
    return SeenCatalog(catalog, embeddings, name), SeenMaps(maps, embeddings, name, (name,))


def shown(rows: Sequence[Picture], model: str, embeddings: Embeddings) -> list[Picture]:
    """Return the rows with a model's vectors, in order; those that have none as they are."""
    lacking = [row.object_key for row in rows if row.model != model and row.state is not State.DAMAGED]
    vectors = embeddings.vectors(model, lacking) if lacking else {}
    return [_shown(row, model, vectors) for row in rows]


def _shown(row: Picture, model: str, vectors: Mapping[str, Vector]) -> Picture:
    vector = vectors.get(row.object_key) if row.model != model else None
    return row if vector is None else row.shown_with(model, vector)


class SeenCatalog(DelegatingCatalog):
    """The catalog with a model's vectors in place of the stored ones."""

    def __init__(self, catalog: Catalog, embeddings: Embeddings, model: str) -> None:
        super().__init__(catalog)
        self._embeddings = embeddings
        self._model = model

    def picture(self, key: Key) -> Picture | None:
        row = self._catalog.picture(key)
        return None if row is None else self._seen([row])[0]

    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        changed = dict(self._catalog.changed(revisions))
        rows = self._seen([row for row in changed.values() if row is not None])
        return changed | {row.key: row for row in rows}

    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        return self._seen(self._catalog.pictures(library, after, limit))

    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        return self._seen(self._catalog.pictures_by_prefix(library, prefix, limit))

    def put(self, picture: Picture, previous: int | None) -> None:
        self._catalog.put(picture.as_stored(), previous)

    def put_called(self, picture: Picture, previous: int | None, name: str) -> None:
        self._catalog.put_called(picture.as_stored(), previous, name)

    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        return self._seen(self._catalog.waiting_for_purge(before, limit, since))

    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        return map(self._seen, self._catalog.scan(kind))

    def every_row(self) -> Iterator[Sequence[Picture]]:
        return map(self._seen, self._catalog.every_row())

    def _seen(self, rows: Sequence[Picture]) -> list[Picture]:
        return shown(rows, self._model, self._embeddings)


class SeenMaps(MapStore):
    """Local maps of a model: those kept beside the pictures, and those of pictures that were added with the model.

    A picture that was added with another model is found by this one only if its map is beside it. So where none is, the
    picture's own map is this model's.
    """

    def __init__(self, maps: MapStore, embeddings: Embeddings, model: str, known: tuple[str, ...]) -> None:
        self._maps = maps
        self._embeddings = embeddings
        self._model = model
        self._known = known

    def put_map(self, key: str, data: bytes) -> None:
        self._maps.put_map(key, data)

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        beside = self._embeddings.maps(self._model, keys)
        own = self._maps.maps([key for key in keys if key not in beside])
        return {**own, **{key: data for key, data in beside.items() if data}}

    def remove_maps(self, keys: Sequence[str]) -> None:
        self._maps.remove_maps(keys)
        self._embeddings.remove(self._known, keys)

    def stored_maps(self) -> Iterator[Sequence[StoredMap]]:
        """Yield the pictures' own maps: whoever misses one there asks for it by its key."""
        return self._maps.stored_maps()


class SeenIndex(VectorIndex):
    """The indices of all models that are written, of which one model's is read."""

    def __init__(self, indices: Mapping[str, VectorIndex], model: str, embeddings: Embeddings) -> None:
        self._indices = indices
        self._read = indices[model]
        self._embeddings = embeddings

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        """Write rows to every index, each with the vector of its model. A live row that has none of it is left out there.

        Such a row is written once there is one: whoever stores the vector reads the row after that, and writes it.
        """
        self._do(lambda model, index: index.write(self._rows_of(model, pictures), wait=wait))

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        self._do(lambda _model, index: index.remove(pictures, wait=wait))

    def search(self, query: Query) -> Sequence[Candidate]:
        return self._read.search(query)

    def count(self, *libraries: str) -> int:
        return self._read.count(*libraries)

    def generations(self) -> Mapping[Kind, str]:
        return self._read.generations()

    def entries(self) -> Iterator[Sequence[IndexEntry]]:
        return self._read.entries()

    def held(self, kind: Kind, keys: Sequence[Key]) -> Sequence[IndexEntry]:
        return self._read.held(kind, keys)

    def _rows_of(self, model: str, pictures: Sequence[Picture]) -> list[Picture]:
        rows = [row if row.model == model else _of_stored(row, model) for row in pictures]
        return [row for row in shown(rows, model, self._embeddings) if row.model == model or not row.live]

    def _do(self, step: _Step) -> None:
        """Do something with every index, whatever becomes of the others; raise what was wrong with any."""
        wrong: list[Unavailable] = []
        for model, index in self._indices.items():
            try:
                step(model, index)
            except Unavailable as error:
                wrong.append(error)
        if wrong:
            raise _joined(wrong)


def _of_stored(row: Picture, model: str) -> Picture:
    """Return the row with the stored vector, if that is the model's."""
    return row.as_stored() if row.vector_of(model) is not None else row


def _joined(wrong: Sequence[Unavailable]) -> Unavailable:
    """Return one error for several; one that does not name rows stands for all."""
    named = [error for error in wrong if isinstance(error, IndexWriteError)]
    if len(named) < len(wrong):
        return next(error for error in wrong if not isinstance(error, IndexWriteError))
    again = frozenset().union(*(error.again for error in named))
    refused = {key: reason for error in named for key, reason in error.refused.items() if key not in again}
    return IndexWriteError(again, refused)
