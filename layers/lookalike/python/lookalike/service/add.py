"""Adding a picture to a library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lookalike.errors import PictureExists, RevisionConflict, Unavailable
from lookalike.model import Embedding, Key, Kind, Library, Picture, Shelf, State, next_revision
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.service.libraries import open_library
from lookalike.service.rows import ATTEMPTS, show
from lookalike.service.source import Loaded, Source, load


@dataclass(frozen=True, slots=True)
class Add:
    """Keep this picture on that shelf. ``desc`` is JSON text or empty."""

    shelf: Shelf
    source: Source
    brief: str = ""
    label: str = ""
    desc: str = ""
    tags: tuple[str, ...] = ()


def add(ports: Ports, command: Add, foretell: Callable[[Picture], None] = lambda _: None) -> Picture:
    """Keep the picture; when this returns it is safe, and searches see it.

    ``foretell`` is told of each row that is about to be tried, before anything of it is kept.

    Raises PictureExists if the library holds it already, and a UrlError or a PictureError if it cannot be had.
    """
    loaded = load(ports, command.source)
    library = open_library(ports, command.shelf)
    key = Key(library.uid, loaded.picture.digest)
    _refuse_duplicate(ports.catalog.picture(key))
    embedding = ports.embedder.embed([loaded.picture.pixels])[0]
    for _ in range(ATTEMPTS):
        current = ports.catalog.picture(key)
        _refuse_duplicate(current)
        picture = _row(ports, command, library, loaded, embedding, current)
        foretell(picture)
        _keep(ports, picture, loaded.data, embedding)
        try:
            ports.catalog.put(picture, None if current is None else current.revision)
        except RevisionConflict:
            _forget_lost(ports, picture)
            continue
        show(ports, [picture])
        if current is not None:
            _forget(ports, current)
        return picture
    raise Unavailable(f"{key.library}/{key.id} changes too fast")


def _refuse_duplicate(current: Picture | None) -> None:
    if current is not None and current.live:
        raise PictureExists(current.digest)


def _row(
    ports: Ports, command: Add, library: Library, loaded: Loaded, embedding: Embedding, current: Picture | None
) -> Picture:
    revision = next_revision(None if current is None else current.revision, ports.clock())
    return Picture(
        key=Key(library.uid, loaded.picture.digest),
        kind=library.kind,
        revision=revision,
        added=revision,
        state=State.LIVE,
        digest=loaded.picture.digest,
        file_digest=loaded.picture.file_digest,
        model=ports.embedder.model,
        vector=embedding.vectors[library.kind],
        brief=command.brief,
        label=command.label,
        desc=command.desc,
        tags=command.tags,
    )


def _keep(ports: Ports, picture: Picture, data: bytes, embedding: Embedding) -> None:
    """The original, then the map, before the row that points at them."""
    ports.originals.put(picture.object_key, data)
    if picture.kind is Kind.SAME and embedding.local_map:
        ports.maps.put_map(picture.object_key, embedding.local_map)


def _forget(ports: Ports, picture: Picture) -> None:
    """Remove what no row points at any more, best effort: it is never shown, it only takes up space."""
    try:
        ports.originals.remove([picture.object_key])
        ports.maps.remove_maps([picture.object_key])
    except Unavailable:
        logger.exception("an original could not be removed", extra={"object_key": picture.object_key})


def _forget_lost(ports: Ports, picture: Picture) -> None:
    """Take back what an attempt kept that lost its race, unless the winner kept the very same."""
    winner = ports.catalog.picture(picture.key)
    if winner is None or winner.object_key != picture.object_key:
        _forget(ports, picture)
