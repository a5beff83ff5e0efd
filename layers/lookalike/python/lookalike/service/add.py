"""Adding a picture to a library."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import NO_METADATA, Embedding, Key, Metadata, Picture, State, next_revision
from lookalike.embedding.library_embedding import embed_for_library
from lookalike.errors import ArgumentTooLong, InvalidArgument, PictureExists, RevisionConflict, Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.service.catalog_writes import MAX_ATTEMPTS, publish_to_index
from lookalike.service.identity import locate, row_digest
from lookalike.service.image_source import Loaded, Source, load
from lookalike.service.libraries import get_or_create_library
from lookalike.service.originals import remove_objects

#: Bytes of a caller's id in UTF-8.
MAX_ID_BYTES = 512


@dataclass(frozen=True, slots=True)
class Add:
    """Add this picture to that library.

    ``id`` is the caller's, in libraries where pictures have callers' ids; None: a random one.
    """

    library_ref: LibraryRef
    source: Source
    metadata: Metadata = NO_METADATA
    id: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A picture that is about to be added: loaded, and embedded.

    ``own_key`` is its row's key where pictures have callers' ids; None where a picture is its own id.
    """

    library: Library
    loaded: Loaded
    embedding: Embedding
    metadata: Metadata
    own_key: Key | None


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """The row that is to be written, and the row of a deleted picture that it replaces, if there is one."""

    picture: Picture
    replaced: Picture | None


def add(ports: Ports, command: Add, library: Library | None = None) -> Picture:
    """Add the picture. On return it is durable, and searches see it.

    ``library`` is the one that the command names, if it has been looked up; otherwise it is created if there is none.

    Raises PictureExists if the library holds the picture already, or another by that id; InvalidArgument for an invalid
    id; a UrlError or a PictureError if the picture cannot be loaded; and Unavailable if its row changes too fast.
    """
    prepared = prepare(ports, command, library)
    for attempt in attempts(ports, prepared):
        if write(ports, prepared, attempt):
            break
    return attempt.picture


def prepare(ports: Ports, command: Add, library: Library | None = None) -> Prepared:
    """Load and embed the picture, and refuse a duplicate as early as it is seen. Arguments and errors: as of :func:`add`."""
    if library is not None and library.identity is Identity.OWN and command.id is not None:
        _refuse_duplicate(ports.catalog.picture(_own_key(library, command.id)))  # saves the download
    loaded = load(ports, command.source, command.library_ref.tenant)
    if library is None:
        library = get_or_create_library(ports, command.library_ref)
    own_key = _key_of(library, command.id)
    _refuse_duplicate(_current(ports, library, loaded, own_key)[1])
    with ports.job(command.library_ref.tenant).turn():
        embedding = embed_for_library(ports.embedder, library.kind, library.identity, loaded.picture.pixels)
    return Prepared(library, loaded, embedding, command.metadata, own_key)


def attempts(ports: Ports, prepared: Prepared) -> Iterator[Attempt]:
    """Iterate over the rows to be written, each made from the catalog's current state, until one has been written.

    Raises PictureExists if another add was faster, and Unavailable after ``MAX_ATTEMPTS``.
    """
    for _ in range(MAX_ATTEMPTS):
        key, current = _current(ports, prepared.library, prepared.loaded, prepared.own_key)
        _refuse_duplicate(current)
        yield Attempt(_row(ports, prepared, key, current), current)
    raise Unavailable(f"catalog: {key.library}/{key.id} changes too fast")


def write(ports: Ports, prepared: Prepared, attempt: Attempt) -> bool:
    """Store the picture and its row, and publish the row to the index. False if another write of the row was faster."""
    picture, replaced = attempt.picture, attempt.replaced
    _store(ports, picture, prepared)
    try:
        ports.catalog.put(picture, None if replaced is None else replaced.revision)
    except RevisionConflict:
        _remove_lost(ports, picture)
        return False
    publish_to_index(ports, [picture])
    if replaced is not None:
        _remove(ports, replaced)
    return True


def _key_of(library: Library, id_: str | None) -> Key | None:
    """Return the key that the caller's id makes, or a random id if there is none; None where a picture is its own id.

    Raises InvalidArgument for an invalid id.
    """
    if library.identity is Identity.OWN:
        return _own_key(library, secrets.token_urlsafe(12) if id_ is None else id_)
    if id_ is not None:
        raise InvalidArgument("id", "must be left out: a picture is its own id here")
    return None


def _current(ports: Ports, library: Library, loaded: Loaded, own_key: Key | None) -> tuple[Key, Picture | None]:
    """Return the key of the picture's row, and the row that is stored there now."""
    if own_key is None:
        return locate(ports, library, loaded.picture)
    return own_key, ports.catalog.picture(own_key)


def _own_key(library: Library, id_: str) -> Key:
    """Return the key that a caller's id makes. Raises InvalidArgument for an invalid id."""
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
        raise PictureExists(current.key, current.digest)


def _row(ports: Ports, prepared: Prepared, key: Key, current: Picture | None) -> Picture:
    library, picture = prepared.library, prepared.loaded.picture
    revision = next_revision(None if current is None else current.revision, ports.clock())
    return Picture(
        key=key,
        kind=library.kind,
        revision=revision,
        added=revision,
        state=State.LIVE,
        digest=row_digest(library, key, picture),
        file_digest=picture.file_digest,
        model=ports.embedder.model,
        vector=prepared.embedding.vectors[library.kind],
        metadata=prepared.metadata,
    )


def _store(ports: Ports, picture: Picture, prepared: Prepared) -> None:
    """Store the original, then the local map, before the row that names them."""
    ports.originals.put(picture.object_key, prepared.loaded.data)
    if picture.kind is Kind.SAME and prepared.embedding.feature_map:
        ports.maps.put_map(picture.object_key, prepared.embedding.feature_map)


def _remove(ports: Ports, picture: Picture) -> None:
    """Remove the objects of an add that no row names any more, best effort: they only take up space."""
    try:
        remove_objects(ports, [picture.object_key])
    except Unavailable as error:
        logger.error(
            "an original could not be removed", extra={"object_key": picture.object_key, **error_fields(error)}
        )


def _remove_lost(ports: Ports, picture: Picture) -> None:
    """Remove what an attempt stored that lost its race, unless the winner stored the very same."""
    winner = ports.catalog.picture(picture.key)
    if winner is None or winner.object_key != picture.object_key:
        _remove(ports, picture)
