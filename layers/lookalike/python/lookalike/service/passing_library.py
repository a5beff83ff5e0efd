"""A library that lasts as long as a call, in memory: a search in it judges as it does in any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lookalike.domain.library import Identity, Kind, Library
from lookalike.domain.picture import Decoded, Embedding, Key, Picture, State
from lookalike.domain.search import Candidate, Query
from lookalike.ports import MapStore, PictureStore, Ports, VectorIndex
from lookalike.ports.listing import UnlistedIndex, UnlistedMaps, UnlistedPictures
from lookalike.service.identity import row_digest


class _Index(UnlistedIndex):
    """Compares a query with every row."""

    def __init__(self) -> None:
        self._rows: dict[Key, Picture] = {}

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        self._rows |= {picture.key: picture for picture in pictures}

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        for picture in pictures:
            self._rows.pop(picture.key, None)

    def search(self, query: Query) -> Sequence[Candidate]:
        found = [
            Candidate.of(row, float(np.max(query.vectors @ row.vector.astype(np.float32))))
            for row in self._rows.values()
        ]
        return sorted(found, key=lambda one: (-one.cosine, one.key.id))[: query.k]

    def count(self, *libraries: str) -> int:
        return len(self._rows)


class PassingMaps(UnlistedMaps):
    """Local maps, by key."""

    def __init__(self, maps: Mapping[str, bytes] | None = None) -> None:
        self._maps = dict(maps or {})

    def put_map(self, key: str, data: bytes) -> None:
        self._maps[key] = data

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        return {key: self._maps[key] for key in keys if key in self._maps}

    def remove_maps(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._maps.pop(key, None)


class _Originals(UnlistedPictures):
    def __init__(self) -> None:
        self._originals: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self._originals[key] = data

    def get(self, key: str) -> bytes | None:
        return self._originals.get(key)

    def place(self, key: str, content_type: str, seconds: int) -> str:
        """Raise NotImplementedError: nobody is shown a picture that passes."""
        raise NotImplementedError(key)

    def remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._originals.pop(key, None)


@dataclass(frozen=True, slots=True)
class _PassingPorts(Ports):
    """The ports of a call, but for what holds pictures."""

    passing_index: _Index = field(default_factory=_Index)
    passing_originals: _Originals = field(default_factory=_Originals)
    passing_maps: PassingMaps = field(default_factory=PassingMaps)

    @property
    def index(self) -> VectorIndex:
        """The index of the passing library."""
        return self.passing_index

    @property
    def originals(self) -> PictureStore:
        """The originals of the passing library."""
        return self.passing_originals

    @property
    def maps(self) -> MapStore:
        """The local maps of the passing library."""
        return self.passing_maps


class PassingLibrary:
    """A library of kind ``same``, of pictures with ids of their own, that no catalog and no other call knows.

    Parameters
    ----------
    ports : the ports of the call.
    tenant : on whose behalf it is made.
    """

    def __init__(self, ports: Ports, tenant: str) -> None:
        #: What names it.
        self.library = Library(tenant, name="", uid="passing", kind=Kind.SAME, identity=Identity.OWN, created=0)
        #: The ports with which it is searched.
        self.ports: Ports = _PassingPorts(
            ports.settings,
            ports.stores,
            ports.embedder,
            ports.verifier,
            ports.fetch,
            ports.clock,
            ports.rate_limiter,
            ports.unknown_keys,
            ports.processors,
            call=ports.call,  # and no finder: no other process knows these pictures
        )

    def add(self, id_: str, data: bytes, picture: Decoded, embedding: Embedding) -> None:
        """Add a picture by its file, its digests and its embedding; its pixels are not looked at."""
        key = Key(self.library.uid, id_)
        row = Picture(
            key=key,
            kind=self.library.kind,
            revision=1,
            added=1,
            state=State.LIVE,
            digest=row_digest(self.library, key, picture),
            file_digest=picture.file_digest,
            model=self.ports.embedder.model,
            vector=embedding.vectors[self.library.kind],
        )
        self.ports.originals.put(row.object_key, data)
        if embedding.feature_map:
            self.ports.maps.put_map(row.object_key, embedding.feature_map)
        self.ports.index.write([row])
