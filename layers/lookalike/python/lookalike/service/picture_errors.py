"""What is wrong with a picture that a call names, where more can be said than that it is not there."""

from __future__ import annotations

from lookalike.errors import PictureNotFound


class PictureDeleted(PictureNotFound):
    """The picture is deleted, and can be restored until it is purged."""

    problem = "deleted: {0.name}"
