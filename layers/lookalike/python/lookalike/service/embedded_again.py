"""Embedding stored originals again, as their adds did."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.domain.picture import Embedding, Picture
from lookalike.errors import PictureError
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.ports import Ports
from lookalike.service.add import embed
from lookalike.service.image_source import Source, load
from lookalike.service.known_libraries import KnownLibraries

#: No limits: an original was within those of its dialect when it was added.
UNBOUNDED = Bounds(max_bytes=1 << 40, min_side=1, max_side=1 << 20, max_pixels=1 << 40, formats=FORMATS)


@dataclass(frozen=True, slots=True, eq=False)
class Again:
    """What the model makes of a row's original; None if the original is lost, damaged or another file."""

    embedding: Embedding | None


class OriginalsEmbedder:
    """Embeds originals of those libraries, of all that are known by default."""

    def __init__(self, ports: Ports, libraries: KnownLibraries | None = None) -> None:
        self._ports = ports
        self._libraries = libraries or KnownLibraries(ports)

    def embed_again(self, row: Picture) -> Again | None:
        """Return what the model makes of a row's original; None if its library is not known. Raises Unavailable."""
        library = self._libraries.get(row.key.library)
        if library is None:
            return None
        data = self._ports.originals.get(row.object_key)
        try:
            loaded = load(self._ports, Source(UNBOUNDED, data=data or b""), library.tenant)
        except PictureError:
            return Again(None)
        if loaded.picture.file_digest != row.file_digest:
            return Again(None)
        return Again(embed(self._ports, library, loaded))
