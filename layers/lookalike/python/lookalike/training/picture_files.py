"""Folders of a user's own pictures: which files they are, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.errors import NotAPicture, PictureError, PictureSizeError
from lookalike.imaging.decode import FORMATS, Bounds, Decoded, decode

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})

#: These are the user's own files, not strangers'. What is smaller shows nothing that can be learnt or judged.
BOUNDS = Bounds(max_bytes=100 << 20, min_side=8, max_side=30_000, max_pixels=200_000_000, formats=FORMATS)

#: What is made of them may be of any size.
MADE = replace(BOUNDS, min_side=1)

#: Of files that cannot be used, so many are named.
NAMED = 5


def walk(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is called like a picture, in order; hidden files and folders are passed over.

    What is called so and is no file, a link that leads nowhere for one, is among them: :func:`read` says what it is.
    """
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and not path.is_dir():
            yield path


def read(path: Path) -> Decoded:
    """A picture, decoded as the service does it.

    Raises PictureError, whose message says in a few words why the file cannot be used.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise PictureError("no file" if path.exists() else "leads nowhere")
        return decode(path.read_bytes(), BOUNDS)
    except PictureSizeError as error:
        raise PictureError(f"too small or too large: {error}") from error
    except NotAPicture as error:
        raise PictureError("broken, or cut short" if error.__cause__ else str(error)) from error
    except OSError as error:
        raise PictureError(error.strerror or str(error)) from error


def image(file: bytes) -> Image.Image:
    """The picture of a file, upright, RGB. Raises PictureError."""
    return Image.fromarray(np.asarray(decode(file, MADE).pixels))


def unusable(refused: Mapping[Path, str], folder: Path) -> str:
    """One line that says how many files cannot be used, names the first of them, and why."""
    named = [f"{_below(folder, path)} ({why})" for path, why in sorted(refused.items())[:NAMED]]
    more = [f"and {len(refused) - NAMED} more"] if len(refused) > NAMED else []
    files = "1 file" if len(refused) == 1 else f"{len(refused)} files"
    return f"{files} left out that cannot be used as pictures: {', '.join([*named, *more])}"


def _below(folder: Path, path: Path) -> str:
    """The file's path in the folder, on one line whatever it is called."""
    name = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
    return "".join(one if one.isprintable() else "�" for one in name)
