"""Restoring a deleted picture, until a purge has claimed it.

A restore races with other writes of the row; each is conditional on the revision that it has read, so one of two wins, and
the other reads again:

- **Purge** claims the row before it touches the index, the original or the map. After a restore its claim finds a live
  row, and leaves it alone; after a claim a restore finds nothing to restore. So no restored row lacks its original.
- **Add** of the same picture, or of another by its id, replaces the deleted row, and removes the row's original. A restore
  then finds a live picture of that name. After a restore the add finds a live picture, and is refused.
- **Deletion** hides the restored row as it does any other. Its purge is due from this deletion on, not from the first.
- **Uploads** hold the picture by its key and ``added`` (:mod:`~lookalike.service.holders`), which a restore keeps: an
  upload that held the picture when it was deleted holds it again, and hides it when its object is overwritten. A picture
  that its last upload has left is held by none, and so is a client's from now on. There is one exception: if that
  upload's event broke off between hiding the picture and recording so, and is repeated after the restore, it hides the
  picture once more. Nothing is lost then, and the picture can be restored again.

The model may have changed since the picture was added. Searches would not find the old vector, so the picture is added
anew from its original, as by a client: ``added`` is new then, and no upload holds the picture.
"""

from __future__ import annotations

from dataclasses import replace

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Key, Picture, State, digest_prefix, next_revision
from lookalike.errors import InvalidArgument, PictureError, PictureExists, PictureNotFound, SignAmbiguous, Unavailable
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.service.add import Attempt, embed, put_second, second_embedding, write
from lookalike.service.capacity import place
from lookalike.service.catalog_writes import MAX_ATTEMPTS, check_revision, publish_to_index, write_row
from lookalike.service.embedded_again import UNBOUNDED
from lookalike.service.identity import locate
from lookalike.service.image_source import Loaded, Source, load
from lookalike.service.old_signs import known_sign, rows_of_sign


def restore(ports: Ports, library: Library, name: str, revision: int | None = None) -> Picture:
    """Make the deleted picture of that id or sign live again; return its row. On return it is durable and searches see it.

    A live picture is returned unchanged, so the call can be repeated. Raises PictureNotFound if there is no such picture,
    a purge has claimed it, or its original is lost; SignAmbiguous if two have the sign; RevisionMismatch if it has another
    revision than ``revision``; PictureExists if the library holds the same picture in another row by now; LibraryFull if it
    holds as many as it may; and Unavailable if its row changes too fast.
    """
    for _ in range(MAX_ATTEMPTS):
        row = _named(ports, library, name)
        check_revision(row, revision)
        if row.live:
            return row
        loaded = _original(ports, library, row)
        if loaded is None:  # lost, unless another write has replaced the row and removed its original
            _check_unchanged(ports, row, name)
            continue
        _refuse_twin(ports, library, row, loaded)
        same_model = row.model == ports.embedder.model
        if same_model:
            _embed_second(ports, library, row, loaded)
        with place(ports, library, needed=True) as held:
            restored = _reveal(held, row) if same_model else _add_anew(held, library, row, loaded)
        if restored is not None:
            return restored
    raise Unavailable(f"catalog: {row.key.library}/{row.key.id} changes too fast")


def _named(ports: Ports, library: Library, name: str) -> Picture:
    """Return the live or deleted row of that id or sign. Raises PictureNotFound or SignAmbiguous."""
    if library.identity is Identity.OWN:
        row = ports.catalog.picture(Key(library.uid, name))
        rows = [] if row is None else [row]
    else:
        rows = rows_of_sign(ports, library, name)
    there = [row for row in rows if row.state in (State.LIVE, State.DELETED)]
    if not there:
        raise PictureNotFound(name)
    if len(there) > 1:  # restored, there would be two live ones
        raise SignAmbiguous(name)
    return there[0]


def _original(ports: Ports, library: Library, row: Picture) -> Loaded | None:
    """Return the row's original; None if it is lost or damaged."""
    data = ports.originals.get(row.object_key)
    try:
        return load(ports, Source(UNBOUNDED, data=data or b""), library.tenant)
    except PictureError:
        return None


def _check_unchanged(ports: Ports, row: Picture, name: str) -> None:
    """Raise PictureNotFound if the row, whose original is lost, is the current one: nothing could be shown or verified."""
    current = ports.catalog.picture(row.key)
    if current is not None and current.revision == row.revision:
        log_fields = {"object_key": row.object_key}
        logger.error("an original is lost; its picture cannot be restored", extra=log_fields)
        raise PictureNotFound(name)


def _refuse_twin(ports: Ports, library: Library, row: Picture, loaded: Loaded) -> None:
    """Raise PictureExists if the picture is its own id, and was added in another row after its deletion."""
    if library.identity is Identity.PICTURE:
        key, found = locate(ports, library, loaded.picture)
        if found is not None and found.deletable and key != row.key:
            raise PictureExists(key, found.digest)


def _embed_second(ports: Ports, library: Library, row: Picture, loaded: Loaded) -> None:
    """Store what the second model in use makes of the original, unless that is there: pictures that wait for purge may lack it."""
    if ports.view is None or ports.view.second is None:
        return
    model = ports.view.second.model
    if row.vector_of(model) is None and not ports.stores.embeddings.vectors(model, [row.object_key]):
        second = second_embedding(ports, library, loaded)
        if second is not None:
            put_second(ports, row, second)


def _reveal(ports: Ports, row: Picture) -> Picture | None:
    """Write the deleted row as a live one. None if another write of the row was faster."""
    restored = _live(ports, row)
    if not write_row(ports, restored, row.revision, digest_prefix(restored.metadata.old_sign) or ""):
        return None
    publish_to_index(ports, [restored])
    return restored


def _add_anew(ports: Ports, library: Library, row: Picture, loaded: Loaded) -> Picture | None:
    """Embed the original by the present model, and add it in place of the deleted row.

    None if another write of the row was faster, or another picture was given its old sign meanwhile.
    """
    embedding = embed(ports, library, loaded)
    live = _live(ports, row)
    restored = live.but(added=live.revision, model=ports.embedder.model, vector=embedding.vectors[library.kind])
    attempt = Attempt(restored, row, embedding.feature_map, embedding.second)
    try:
        return restored if write(ports, loaded.data, attempt) else None
    except InvalidArgument:
        return None


def _live(ports: Ports, row: Picture) -> Picture:
    metadata = row.metadata
    if metadata.old_sign:  # which another picture may have by now
        metadata = replace(metadata, old_sign=known_sign(ports, row.key))
    revision = next_revision(row.revision, ports.clock())
    return row.but(revision=revision, state=State.LIVE, deleted_at=None, metadata=metadata)
