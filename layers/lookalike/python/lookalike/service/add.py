"""Adding a picture to a library."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from lookalike.domain.library import Identity, Kind, Library, Shelf
from lookalike.domain.picture import NO_METADATA, Embedding, Key, Metadata, Picture, State, next_revision
from lookalike.errors import ArgumentTooLong, InvalidArgument, PictureExists, RevisionConflict, Unavailable
from lookalike.imaging.decode import Decoded
from lookalike.observability import logger, why
from lookalike.ports import Ports
from lookalike.service.catalog_writes import ATTEMPTS, show
from lookalike.service.identity import kept_digest, locate
from lookalike.service.image_source import Loaded, Source, load
from lookalike.service.libraries import open_library

#: Longest id a caller may give, in bytes of UTF-8.
MAX_ID_BYTES = 512


@dataclass(frozen=True, slots=True)
class Add:
    """Keep this picture on that shelf.

    ``id`` is the caller's own, on a shelf where pictures have those; None: a random one.
    """

    shelf: Shelf
    source: Source
    metadata: Metadata = NO_METADATA
    id: str | None = None


def add(
    ports: Ports,
    command: Add,
    foretell: Callable[[Picture], None] = lambda _: None,
    library: Library | None = None,
) -> Picture:
    """Keep the picture; when this returns it is safe, and searches see it.

    ``foretell`` is told of each row that is about to be tried, before anything of it is kept; what it raises ends the
    add. ``library`` is that of the shelf, if it has been looked up; otherwise it is made if there is none.

    Raises PictureExists if the library holds it already, or another by that id; InvalidArgument for an id that cannot
    be; and a UrlError or a PictureError if the picture cannot be had.
    """
    if library is not None and library.identity is Identity.OWN and command.id is not None:
        _refuse_duplicate(ports.catalog.picture(_own_key(library, command.id)))  # saves the download
    loaded = load(ports, command.source, command.shelf.tenant)
    if library is None:
        library = open_library(ports, command.shelf)
    place = _place(ports, library, command, loaded.picture)
    _refuse_duplicate(place()[1])
    with ports.job(command.shelf.tenant).turn():
        embedding = ports.embedder.embed([loaded.picture.pixels])[0]
    for _ in range(ATTEMPTS):
        key, current = place()
        _refuse_duplicate(current)
        picture = _row(ports, command, key, library, loaded, embedding, current)
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
    raise Unavailable(f"catalog: {key.library}/{key.id} changes too fast")


def _place(ports: Ports, library: Library, command: Add, picture: Decoded) -> Callable[[], tuple[Key, Picture | None]]:
    """Says, whenever it is called, where the picture's row belongs, and the row that is there.

    Raises InvalidArgument for an id that cannot be.
    """
    if library.identity is Identity.PICTURE:
        if command.id is not None:
            raise InvalidArgument("id", "must be left out: a picture is its own id here")
        return lambda: locate(ports, library, picture)
    key = _own_key(library, secrets.token_urlsafe(12) if command.id is None else command.id)
    return lambda: (key, ports.catalog.picture(key))


def _own_key(library: Library, id_: str) -> Key:
    """The key of a caller's own id. Raises InvalidArgument if it cannot be one."""
    try:
        length = len(id_.encode())
    except UnicodeEncodeError as reason:
        raise InvalidArgument("id", "half a surrogate pair") from reason
    if not length:
        raise InvalidArgument("id", "empty")
    if length > MAX_ID_BYTES:
        raise ArgumentTooLong("id", f"more than {MAX_ID_BYTES} bytes")
    return Key(library.uid, id_)


def _refuse_duplicate(current: Picture | None) -> None:
    if current is not None and current.live:
        raise PictureExists(current.digest)


def _row(
    ports: Ports,
    command: Add,
    key: Key,
    library: Library,
    loaded: Loaded,
    embedding: Embedding,
    current: Picture | None,
) -> Picture:
    revision = next_revision(None if current is None else current.revision, ports.clock())
    return Picture(
        key=key,
        kind=library.kind,
        revision=revision,
        added=revision,
        state=State.LIVE,
        digest=kept_digest(library, key, loaded.picture),
        file_digest=loaded.picture.file_digest,
        model=ports.embedder.model,
        vector=embedding.vectors[library.kind],
        metadata=command.metadata,
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
    except Unavailable as error:
        logger.error("an original could not be removed", extra={"object_key": picture.object_key, **why(error)})


def _forget_lost(ports: Ports, picture: Picture) -> None:
    """Take back what an attempt kept that lost its race, unless the winner kept the very same."""
    winner = ports.catalog.picture(picture.key)
    if winner is None or winner.object_key != picture.object_key:
        _forget(ports, picture)
