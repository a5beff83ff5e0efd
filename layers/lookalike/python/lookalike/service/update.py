"""Changing what is said of a picture."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.domain.library import Shelf
from lookalike.domain.picture import Picture, next_revision
from lookalike.errors import PictureNotFound
from lookalike.ports import Ports
from lookalike.service.catalog_writes import change, show
from lookalike.service.image_source import Source
from lookalike.service.lookup import chosen


@dataclass(frozen=True, slots=True)
class Update:
    """Say this of that one picture, named by itself or by its sign. None leaves a thing as it is.

    ``tags`` take the place of all tags but those that start with one of ``keep``.
    """

    shelf: Shelf
    which: Source | str
    brief: str | None = None
    tags: tuple[str, ...] | None = None
    keep: tuple[str, ...] = ()


def update(ports: Ports, command: Update) -> None:
    """Change the picture's words; when this returns the change is safe, and searches see it.

    Raises PictureNotFound if the library holds no such live picture, SignAmbiguous if it holds two,
    and a UrlError or a PictureError if the picture given cannot be had.
    """
    library = ports.catalog.library(command.shelf.tenant, command.shelf.name)
    which = command.which if isinstance(command.which, Source) else [command.which]
    keys = [] if library is None else chosen(ports, library, which)
    if not keys:
        raise PictureNotFound(command.which if isinstance(command.which, str) else "the picture given")
    if command.brief is None and command.tags is None:
        return

    def say(current: Picture | None) -> Picture:
        if current is None or not current.live:
            raise PictureNotFound(keys[0].id)
        return current.but(
            revision=next_revision(current.revision, ports.clock()),
            brief=current.brief if command.brief is None else command.brief,
            tags=current.tags if command.tags is None else _kept(current.tags, command.keep) + command.tags,
        )

    show(ports, [change(ports, keys[0], say)])


def _kept(tags: tuple[str, ...], starts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(tag for tag in tags if tag.startswith(starts))
