"""The pictures that a model is fitted on, augmented copies of them, and their labels."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from PIL import Image

from lookalike.errors import PictureError
from lookalike.training import picture_files
from lookalike.training.augment import augment_copy
from lookalike.training.progress import parallel_map

#: Pictures that a head of 256 numbers can be fitted on, four fifths of them; a thousand and more are better.
MIN_PICTURES = 400

#: Augmented copies made of every picture.
COPIES = 3

#: The longer side of a light copy, in pixels.
_LIGHT_COPY_SIDE = 400


class FitError(Exception):
    """The pictures or labels do not suffice; the message is one line."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of pictures, and pairs of files that show the same picture.

    ``pairs`` teach `same` further changes to ignore. ``labels`` teach `product` and `similar` what may differ within a
    class. ``judged`` are labels that only measure the scores of answers, not taught to any head; without them
    ``labels`` measure scores as well.
    """

    pairs: Sequence[tuple[Path, Path]] = ()
    labels: Mapping[Path, str] = field(default_factory=dict)
    judged: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Picture files in a fixed order, and augmented copies of them that depend on the seed alone."""

    paths: tuple[Path, ...]
    seed: int
    copies: int = COPIES

    def original(self, number: int) -> Image.Image:
        """Return a picture, upright, RGB."""
        return picture_files.image(self.paths[number].read_bytes())

    def copy(self, number: int, which: int, backgrounds: Sequence[int]) -> Image.Image:
        """Return an augmented copy of a picture; one of the pictures ``backgrounds`` may show behind it."""
        random = Random(f"{self.seed} {number} {which}")
        return augment_copy(self.original(number), self.original(random.choice(backgrounds)), random)

    def light_copy(self, number: int) -> Image.Image:
        """Return a picture made smaller, as a website would."""
        picture = self.original(number)
        picture.thumbnail((_LIGHT_COPY_SIDE, _LIGHT_COPY_SIDE))
        return picture


def find_pictures(folder: Path) -> list[Path]:
    """Return the resolved paths of the pictures below a folder; name files that cannot be used on stderr.

    Raises FitError if there are fewer than ``MIN_PICTURES``.
    """
    if not folder.is_dir():
        raise FitError(f"{folder}: there is no such folder")
    refused: dict[Path, str] = {}

    def check(path: Path) -> None:
        try:
            picture_files.read(path)
        except PictureError as error:
            refused[path] = str(error)

    paths = list(picture_files.walk(folder))
    if len(paths) >= MIN_PICTURES:
        parallel_map("looking at the pictures", check, paths)
    if refused:
        print(picture_files.unusable(refused, folder), file=sys.stderr)
    # Resolved, because labels and pairs name them in that way.
    found = list(dict.fromkeys(path.resolve() for path in paths if path not in refused))
    if len(found) < MIN_PICTURES:
        raise FitError(f"{folder} has {len(found)} pictures; {MIN_PICTURES} are the least, some thousands are better")
    return found
