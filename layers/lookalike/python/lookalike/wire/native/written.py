"""What is answered of a picture that a call has written, or found in its place: no more than the key may know."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from lookalike.domain.application import Application, Permission
from lookalike.domain.library import Library
from lookalike.domain.picture import Picture
from lookalike.wire.native.answers import Digest, Path, PictureSaid, Said, Time, one_of, picture_said


class WrittenSaid(Said, frozen=True, kw_only=True):
    """A picture that a call has written, or found.

    A key that may neither search nor call groups is told ``library``, ``id``, ``self`` and ``revision`` alone, unless the
    call itself has said all of the picture. Members are those of a picture.
    """

    library: str
    id: str
    path: Path = msgspec.field(name="self")
    revision: int
    image: Path | UnsetType = UNSET
    cont_sign: str | UnsetType = UNSET
    old_cont_sign: str = ""
    digest: Digest | UnsetType = UNSET
    added: Time | UnsetType = UNSET
    state: Annotated[str, one_of("live", "deleted", "damaged")] | UnsetType = UNSET
    deleted: Time | UnsetType = UNSET
    brief: str = ""
    label: msgspec.Raw | UnsetType = UNSET
    desc: msgspec.Raw | UnsetType = UNSET
    tags: tuple[str, ...] = ()


class AddedSaid(WrittenSaid, frozen=True, kw_only=True):
    """A picture that an add has made, or found: then ``created`` is false, and a narrow key is told no more than its name.

    ``repaired``: its original was lost, and the file that was sent is stored in its place.
    """

    created: bool
    repaired: bool = False


#: Members that say which picture it is, and nothing of what is in it.
_NAMES = ("library", "id", "path", "revision")


def written_said(application: Application, library: Library, picture: Picture) -> WrittenSaid:
    """Return a picture that a call has changed in part."""
    said = picture_said(library, picture)
    return WrittenSaid(**{name: getattr(said, name) for name in _told(whole=_may_look(application))})


def added_said(
    application: Application,
    library: Library,
    picture: Picture,
    *,
    created: bool,
    own: bool = True,
    repaired: bool = False,
) -> AddedSaid:
    """Return a picture that was added, or was there. ``own``: all of it is what the call has said."""
    said, names = picture_said(library, picture), _told(whole=own or _may_look(application))
    return AddedSaid(**{name: getattr(said, name) for name in names}, created=created, repaired=repaired)


def _may_look(application: Application) -> bool:
    """Whether another call shows the application all of a picture."""
    return application.policy.permits(Permission.SEARCH, Permission.GROUPS)


def _told(*, whole: bool) -> tuple[str, ...]:
    """Return the names of the members that are said."""
    return PictureSaid.__struct_fields__ if whole else _NAMES
