"""Changing what is said of a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lookalike.domain.library import Shelf
from lookalike.domain.picture import Metadata, MetadataChange, Picture, next_revision
from lookalike.errors import PictureNotFound
from lookalike.ports import Ports
from lookalike.service.catalog_writes import change, show
from lookalike.service.image_source import Source
from lookalike.service.lookup import chosen


@dataclass(frozen=True, slots=True)
class Update:
    """Change the metadata of one picture, named by itself or by its sign. Fields not in ``change`` stay.

    New tags replace all tags but those that start with one of ``keep``.
    """

    shelf: Shelf
    which: Source | str
    change: MetadataChange
    keep: tuple[str, ...] = ()


def update(ports: Ports, command: Update) -> None:
    """Change the picture's metadata; when this returns the change is safe, and searches see it.

    Raises PictureNotFound if the library holds no such live picture, SignAmbiguous if it holds two,
    and a UrlError or a PictureError if the picture given cannot be had.
    """
    library = ports.catalog.library(command.shelf.tenant, command.shelf.name)
    which = command.which if isinstance(command.which, Source) else [command.which]
    keys = [] if library is None else chosen(ports, library, which)
    if not keys:
        raise PictureNotFound(command.which if isinstance(command.which, str) else "the picture given")
    if not command.change:
        return

    def say(current: Picture | None) -> Picture:
        if current is None or not current.live:
            raise PictureNotFound(keys[0].id)
        return current.but(
            revision=next_revision(current.revision, ports.clock()),
            metadata=_changed(current.metadata, command.change, command.keep),
        )

    show(ports, [change(ports, keys[0], say)])


def _changed(metadata: Metadata, change: MetadataChange, keep: tuple[str, ...]) -> Metadata:
    changed = replace(metadata, **change)
    if "tags" not in change:
        return changed
    kept = tuple(tag for tag in metadata.tags if tag.startswith(keep))
    return replace(changed, tags=kept + change["tags"])
