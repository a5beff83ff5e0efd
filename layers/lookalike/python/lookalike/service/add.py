"""Adding a picture to a library, or replacing one by another.

What a caller puts in the place of a live picture is the caller's, whoever added the picture before: an upload that held it
(:mod:`~lookalike.service.holders`) holds it no longer, and so neither hides nor describes it when its object changes. The
row's ``added`` tells the two apart, so it is new unless no upload holds the row and the file is the same.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import NO_METADATA, Embedding, Key, Metadata, Picture, State, digest_prefix, next_revision
from lookalike.embedding.library_embedding import embed_for_library
from lookalike.errors import (
    ArgumentTooLong,
    InvalidArgument,
    PictureError,
    PictureExists,
    RevisionMismatch,
    Unavailable,
    UrlError,
)
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.service.capacity import place
from lookalike.service.catalog_writes import MAX_ATTEMPTS, check_revision, publish_to_index, write_row
from lookalike.service.holders import is_held
from lookalike.service.identity import locate, row_digest
from lookalike.service.image_source import Loaded, Source, load
from lookalike.service.libraries import get_or_create_library
from lookalike.service.old_signs import known_sign, learn_sign, require_sign
from lookalike.service.originals import remove_objects
from lookalike.service.resent import sent

#: Bytes of a caller's id in UTF-8.
MAX_ID_BYTES = 512


@dataclass(frozen=True, slots=True)
class Add:
    """Add this picture to that library.

    ``id`` is the caller's, in libraries where pictures have callers' ids; None: a random one. With ``replace``, the picture
    and its metadata take the place of a live one by that id; with ``revision`` too, only of one that has this revision; with
    ``only_live``, nothing is added where there is none.
    """

    library_ref: LibraryRef
    source: Source
    metadata: Metadata = NO_METADATA
    id: str | None = None
    replace: bool = False
    revision: int | None = None
    only_live: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A picture that is about to be added: loaded, and embedded unless it replaces one of the same file.

    ``own_key`` is its row's key where pictures have callers' ids; None where a picture is its own id.
    """

    command: Add
    library: Library
    loaded: Loaded
    own_key: Key | None
    embedding: Embedding | None


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """The row that is to be written, and the row that it replaces, if there is one: of a deleted or a live picture.

    ``feature_map`` is stored with the original, and so is what the ``second`` model in use makes of it. If ``picture`` is
    ``replaced``, no row is to be written. ``is_same_file``: the original that is stored already is of the very file that is
    added.
    """

    picture: Picture
    replaced: Picture | None
    feature_map: bytes = b""
    second: Embedding | None = None
    is_same_file: bool = False

    @property
    def stores_file(self) -> bool:
        """Whether an original and a local map are stored: not if only metadata changes."""
        return self.replaced is None or self.picture.added != self.replaced.added

    @property
    def adds(self) -> bool:
        """Whether the library has one more live picture afterwards."""
        return self.replaced is None or not self.replaced.live


def add(ports: Ports, command: Add, library: Library | None = None) -> Picture:
    """Add the picture, or replace one by it; return its row. On return it is durable, and searches see it.

    The command may be repeated: with ``replace``, the same file only changes metadata, and the same metadata nothing. Either
    way, an original that is lost is stored again, if it is that file: PictureExists says so.

    ``library`` is the one that the command names, if it has been looked up; otherwise it is created if there is none.

    Raises PictureExists if the library holds the picture already, or another by that id, unless it is to be replaced;
    RevisionMismatch if the live picture to be replaced has another revision, or there is none; LibraryFull if there would
    be more pictures than the library may hold; InvalidArgument for an invalid id; a UrlError or a PictureError if the
    picture cannot be loaded; and Unavailable if its row changes too fast.
    """
    return carry_out(ports, command, library).picture


def carry_out(ports: Ports, command: Add, library: Library | None = None) -> Attempt:
    """Add the picture, or replace one by it; return what was written. Arguments and errors: as of :func:`add`."""
    prepared = prepare(ports, command, library)
    for attempt in attempts(ports, prepared):
        with place(ports, prepared.library, needed=attempt.adds) as held:
            if write(held, prepared.loaded.data, attempt):
                break
    return attempt


def prepare(ports: Ports, command: Add, library: Library | None = None) -> Prepared:
    """Load and embed the picture, and refuse a duplicate as early as it is seen. Arguments and errors: as of :func:`add`."""
    if library is not None and library.identity is Identity.OWN and command.id is not None:
        key = _own_key(library, command.id)
        tenant = library.tenant
        with _repairing(ports, lambda: _file_of(ports, command.source, tenant)):
            _check_allowed(command, key, ports.catalog.picture(key))  # saves the download
    loaded = load(ports, command.source, command.library_ref.tenant)
    if library is None:
        library = get_or_create_library(ports, command.library_ref)
    own_key = _key_of(library, command.id)
    key, current = _current(ports, library, loaded, own_key)
    with _repairing(ports, lambda: loaded.data):
        _check_allowed(command, key, current)
    if library.identity is Identity.PICTURE:
        command = _with_old_sign(ports, command, library, key)
    embedding = None if _is_of_file(ports, current, loaded) else embed(ports, library, loaded)
    return Prepared(command, library, loaded, own_key, embedding)


def attempts(ports: Ports, prepared: Prepared) -> Iterator[Attempt]:
    """Iterate over the rows to be written, each made from the catalog's current state, until one has been written.

    Raises PictureExists or RevisionMismatch if another write was faster, and Unavailable after ``MAX_ATTEMPTS``.
    """
    loaded, embedding = prepared.loaded, prepared.embedding
    for _ in range(MAX_ATTEMPTS):
        key, current = _current(ports, prepared.library, loaded, prepared.own_key)
        _check_allowed(prepared.command, key, current)
        if current is not None and _is_of_file(ports, current, loaded):
            yield Attempt(_described(ports, current, prepared.command.metadata), current, is_same_file=True)
            continue
        if embedding is None:  # the picture that was there has been replaced or deleted meanwhile
            embedding = embed(ports, prepared.library, loaded)
        row = _row(ports, prepared, embedding, key, current)
        yield Attempt(row, current, embedding.feature_map, embedding.second)
    raise Unavailable(f"catalog: {key.library}/{key.id} changes too fast")


def write(ports: Ports, file: bytes, attempt: Attempt) -> bool:
    """Store the picture and its row, and publish the row to the index. False if another write of the row was faster.

    Raises InvalidArgument if another picture has been given its old sign meanwhile.
    """
    picture, replaced = attempt.picture, attempt.replaced
    require_sign(ports, picture)
    if attempt.stores_file:
        _store(ports, file, attempt)
    elif attempt.is_same_file:
        _store_if_lost(ports, picture, file)
    previous, called = None if replaced is None else replaced.revision, digest_prefix(picture.metadata.old_sign) or ""
    if picture is not replaced and not write_row(ports, picture, previous, called):
        if attempt.stores_file:
            _remove_lost(ports, picture)
        return False
    publish_to_index(ports, [picture])
    if replaced is not None and attempt.stores_file:
        _remove(ports, replaced)
    return True


def embed(ports: Ports, library: Library, loaded: Loaded) -> Embedding:
    """Return what the library stores of the picture, by each of the models in use."""
    with ports.job(library.tenant).turn():
        embedding = embed_for_library(ports.embedder, library.kind, library.identity, loaded.picture.pixels)
    second = second_embedding(ports, library, loaded)
    return embedding if second is None else replace(embedding, second=second)


def second_embedding(ports: Ports, library: Library, loaded: Loaded) -> Embedding | None:
    """Return what the library stores of the picture by the second model in use; None if there is none."""
    if ports.view is None or ports.view.second is None:
        return None
    with ports.job(library.tenant).turn():
        return embed_for_library(ports.view.second, library.kind, library.identity, loaded.picture.pixels)


def _with_old_sign(ports: Ports, command: Add, library: Library, key: Key) -> Add:
    """Return the command with the sign that the picture had elsewhere: the one that is said, else the one that is known.

    Raises InvalidArgument if another picture has the one that is said.
    """
    if command.metadata.old_sign:
        learn_sign(ports, library, key, command.metadata.old_sign)
        return command
    return replace(command, metadata=replace(command.metadata, old_sign=known_sign(ports, key)))


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


def _check_allowed(command: Add, key: Key, current: Picture | None) -> None:
    """Raise PictureExists or RevisionMismatch if the command does not allow to write in place of the current row."""
    if current is None or not current.live:
        if command.revision is not None or command.only_live:
            raise RevisionMismatch(key, None)
    elif command.replace:
        check_revision(current, command.revision)
    else:
        raise PictureExists(current.key, current.digest)


def _is_of_file(ports: Ports, current: Picture | None, loaded: Loaded) -> bool:
    """Whether the live row has all that would be stored of the picture but its metadata, and no upload holds it."""
    return (
        current is not None
        and current.live
        and current.file_digest == loaded.picture.file_digest
        and current.model == ports.embedder.model
        and not is_held(ports, current)
    )


def _described(ports: Ports, current: Picture, metadata: Metadata) -> Picture:
    """Return the row with that metadata; the row itself if it has it."""
    if current.metadata == metadata:
        return current
    return current.but(revision=next_revision(current.revision, ports.clock()), metadata=metadata)


def _row(ports: Ports, prepared: Prepared, embedding: Embedding, key: Key, current: Picture | None) -> Picture:
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
        file_size=len(prepared.loaded.data),
        model=ports.embedder.model,
        vector=embedding.vectors[library.kind],
        metadata=prepared.command.metadata,
    )


def _store(ports: Ports, file: bytes, attempt: Attempt) -> None:
    """Store the original, then what the models make of it, before the row that names them."""
    picture = attempt.picture
    ports.originals.put(picture.object_key, file)
    if picture.kind is Kind.SAME and attempt.feature_map:
        ports.maps.put_map(picture.object_key, attempt.feature_map)
    if attempt.second is not None:
        put_second(ports, picture, attempt.second)


def put_second(ports: Ports, picture: Picture, second: Embedding) -> None:
    """Store what the second model in use makes of a picture."""
    if ports.view is not None and ports.view.second is not None:
        put_embedding(ports, ports.view.second.model, picture, second)


def put_embedding(ports: Ports, model: str, picture: Picture, embedding: Embedding) -> None:
    """Store what another model than that of the row makes of a picture."""
    feature_map = embedding.feature_map if picture.kind is Kind.SAME else b""
    ports.stores.embeddings.put(model, picture.object_key, embedding.vectors[picture.kind], feature_map)


@contextmanager
def _repairing(ports: Ports, file: Callable[[], bytes | None]) -> Iterator[None]:
    """Where a picture is refused that the library holds already: store its original again if it is lost, and was sent.

    A lost original is told by its size, which costs no more than to ask; so a repeated add stays as cheap as it was.
    """
    try:
        yield
    except PictureExists as exists:
        row = ports.catalog.picture(exists.key)
        if row is not None and row.live and _is_original_lost(ports, row):
            data = file()
            if data is not None and hashlib.sha256(data).hexdigest() == row.file_digest:
                exists.repaired = _store_if_lost(ports, row, data)
        raise


def _file_of(ports: Ports, source: Source, tenant: str) -> bytes | None:
    """Return the file that a picture is sent as, or that its URL answers with; None if there is none."""
    if source.url is None:
        return sent(ports, tenant, source)
    try:
        return load(ports, source, tenant).data
    except (PictureError, UrlError):
        return None


def _is_original_lost(ports: Ports, picture: Picture) -> bool:
    """Whether an original is missing, empty or cut; False if its store does not say."""
    try:
        size = ports.originals.size(picture.object_key)
    except Unavailable:
        return False
    return not size or size != (picture.file_size or size)


def _store_if_lost(ports: Ports, picture: Picture, file: bytes) -> bool:
    """Store an original again that is lost or damaged, best effort: to add its file again is what mends it.

    It is lost as well where another add has replaced the picture meanwhile; what was stored is then removed. Returns
    whether it was stored.
    """
    try:
        if ports.originals.get(picture.object_key) != file:
            ports.originals.put(picture.object_key, file)
            _remove_lost(ports, picture)
            return True
    except Unavailable as error:
        logger.warning(
            "an original could not be looked at", extra={"object_key": picture.object_key, **error_fields(error)}
        )
    return False


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
