"""The first bytes tell a picture's format, without a decoder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lookalike.imaging.signatures import SIGNATURES, format_of, is_picture
from tests.unit.imaging.pictures.draw import FOLDER, scene
from tests.unit.imaging.pictures.files import encode


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_format_is_told_by_its_first_bytes(name: str) -> None:
    file = encode(scene(40, 30), name)
    assert format_of(file) == format_of(file[:16]) == name
    assert is_picture(file)


def test_golden_pictures_are_what_their_suffixes_say() -> None:
    suffixes = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "WEBP": ".webp"}
    for name, suffix in suffixes.items():
        files = [path for path in FOLDER.iterdir() if path.suffix == suffix]
        assert files
        assert {format_of(path.read_bytes()) for path in files} == {name}


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"GIF80a", b"RIFF\0\0\0\0WAVEfmt ", b"<html>", b"\x1f\x8b\x08"])
def test_other_data_are_no_picture(data: bytes) -> None:
    assert format_of(data) is None
    assert not is_picture(data)


def test_no_decoder_is_imported() -> None:
    script = "import sys, lookalike.imaging.signatures; print('PIL' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )
