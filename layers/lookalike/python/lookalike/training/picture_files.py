"""Finds and decodes the picture files of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.domain.picture import Decoded
from lookalike.errors import NotAPicture, PictureError, PictureSizeError
from lookalike.imaging.decode import FORMATS, Bounds, decode

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})

#: Limits of a user's own files, which need no protection. Smaller pictures show nothing to learn or judge.
BOUNDS = Bounds(max_bytes=100 << 20, min_side=8, max_side=30_000, max_pixels=200_000_000, formats=FORMATS)

#: Limits of pictures that are made of them, which may be of any size.
ANY_SIZE = replace(BOUNDS, min_side=1)

#: Unusable files that are named in a message.
MAX_NAMED = 5


def walk(folder: Path) -> Iterator[Path]:
    """Yield the paths below a folder with a picture's suffix, in order, without hidden files and folders.

    Paths that are not files, such as broken links, are included: :func:`read` reports them.
    """
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and not path.is_dir():
            yield path


def read(path: Path) -> Decoded:
    """Decode a picture file as the service does.

    Raises PictureError, whose message says in a few words why the file cannot be used.
    """
    try:
        if not path.is_file():  # reading a pipe would block
            raise PictureError("no file" if path.exists() else "leads nowhere")
        return decode(path.read_bytes(), BOUNDS)
    except PictureSizeError as error:
        raise PictureError(f"too small or too large: {error}") from error
    except NotAPicture as error:
        raise PictureError("broken, or cut short" if error.__cause__ else str(error)) from error
    except OSError as error:
        raise PictureError(error.strerror or str(error)) from error


def image(file: bytes) -> Image.Image:
    """Return the picture of a file's bytes, upright, RGB. Raises PictureError."""
    return Image.fromarray(np.asarray(decode(file, ANY_SIZE).pixels))


def unusable(refused: Mapping[Path, str], folder: Path) -> str:
    """Return one line with the number of unusable files, the first of them, and the reasons."""
    named = [f"{_below(folder, path)} ({why})" for path, why in sorted(refused.items())[:MAX_NAMED]]
    more = [f"and {len(refused) - MAX_NAMED} more"] if len(refused) > MAX_NAMED else []
    files = "1 file" if len(refused) == 1 else f"{len(refused)} files"
    return f"{files} left out that cannot be used as pictures: {', '.join([*named, *more])}"


def _below(folder: Path, path: Path) -> str:
    """Return the path relative to the folder, with unprintable characters replaced."""
    name = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
    return "".join(one if one.isprintable() else "�" for one in name)
