"""Changing a picture's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lookalike.domain.library import Library, LibraryRef
from lookalike.domain.picture import Key, Metadata, MetadataChange, Picture, digest_prefix, next_revision
from lookalike.errors import PictureNotFound
from lookalike.ports import Ports
from lookalike.service.catalog_writes import check_revision, compare_and_set, publish_to_index
from lookalike.service.image_source import Source
from lookalike.service.lookup import resolve_keys
from lookalike.service.old_signs import forget_sign, learn_sign


@dataclass(frozen=True, slots=True)
class Update:
    """Change the metadata of one picture, named by itself, by its sign, or by its row's key. Fields not in ``change`` stay.

    An empty old sign takes back the one that the picture is told by.

    New tags replace all tags but those that start with one of ``keep``. With ``revision``, only a picture of that
    revision is changed.
    """

    library_ref: LibraryRef
    which: Source | str | Key
    change: MetadataChange
    keep: tuple[str, ...] = ()
    revision: int | None = None


def update(ports: Ports, command: Update) -> Picture:
    """Change the picture's metadata; return its row. On return the change is durable, and searches see it.

    The row is the unchanged one if the command changes no field. Raises PictureNotFound if the library holds no such live
    picture, SignAmbiguous if it holds two, InvalidArgument for an old sign that another picture has, RevisionMismatch if
    the picture has another revision than the command's, and a UrlError or a PictureError if the picture given cannot be loaded.
    """
    library = ports.catalog.library(command.library_ref.tenant, command.library_ref.name)
    keys = [] if library is None else _keys_of(ports, library, command.which)
    if library is None or not keys:
        raise PictureNotFound(command.which if isinstance(command.which, str) else "the picture given")
    if not command.change:
        return _live(ports.catalog.picture(keys[0]), keys[0], command.revision)
    sign = command.change.get("old_sign")
    before = None if sign is None else _live(ports.catalog.picture(keys[0]), keys[0], command.revision)
    if sign:
        learn_sign(ports, library, keys[0], sign)

    def step(current: Picture | None) -> Picture:
        current = _live(current, keys[0], command.revision)
        return current.but(
            revision=next_revision(current.revision, ports.clock()),
            metadata=_changed(current.metadata, command.change, command.keep),
        )

    written = compare_and_set(ports, keys[0], step, digest_prefix(sign or "") or "")
    if before is not None and not sign:
        forget_sign(ports, keys[0], before.metadata.old_sign)
    publish_to_index(ports, [written])
    return written


def _keys_of(ports: Ports, library: Library, which: Source | str | Key) -> Sequence[Key]:
    if isinstance(which, Key):
        return [which]
    return resolve_keys(ports, library, which if isinstance(which, Source) else [which])


def _live(current: Picture | None, key: Key, revision: int | None) -> Picture:
    """Return the row if it is live, and of that revision. Raises PictureNotFound or RevisionMismatch."""
    if current is None or not current.live:
        raise PictureNotFound(key.id)
    check_revision(current, revision)
    return current


def _changed(metadata: Metadata, change: MetadataChange, keep: tuple[str, ...]) -> Metadata:
    changed = replace(metadata, **change)
    if "tags" not in change:
        return changed
    kept = tuple(tag for tag in metadata.tags if tag.startswith(keep))
    return replace(changed, tags=kept + change["tags"])
