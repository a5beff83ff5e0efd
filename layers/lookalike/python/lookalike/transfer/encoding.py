"""The encoding of a table's text, told by its bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from lookalike.transfer.rows import SourceError

#: Marks at the beginning of a file. UTF-32's little-endian one begins like UTF-16's, so it comes first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

#: Bytes that are looked at for zeros: text in UTF-16 without a mark has one in nearly every character of a header.
_BEGINNING = 4096

#: Bytes read at a time.
_BLOCK = 1 << 20

#: What is tried, in order, where neither marks nor zeros tell: spreadsheets in Chinese write the second one.
_TRIED = ("utf-8", "gb18030")


def encoding_of(path: Path) -> str:
    """Return the name of the file's encoding. Raises SourceError if it is none that is known."""
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    for mark, name in _MARKS:
        if beginning.startswith(mark):
            return name
    if b"\0" in beginning:
        even, odd = beginning[0::2].count(0), beginning[1::2].count(0)
        return "utf-16-le" if odd > even else "utf-16-be"
    for name in _TRIED:
        if _decodes(path, name):
            return name
    raise SourceError(f"{path}: neither UTF-8, UTF-16 nor GB18030; name its encoding with --encoding")


@contextmanager
def opened(path: Path, encoding: str) -> Iterator[TextIO]:
    """Open a text file whose lines keep their ends. Raises SourceError for an unknown encoding, or what is not in it."""
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise SourceError(f"--encoding: there is none called {encoding}") from error
    try:
        with path.open("rb") as file:
            yield TextIOWrapper(file, encoding=encoding, newline="")
    except UnicodeError as error:
        raise SourceError(f"{path}: not {encoding} ({error}); name its encoding with --encoding") from error


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
