"""The console's words, as its files have them."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2] / "functions/console/static/i18n"


def words(language: str) -> dict[str, str]:
    """Return the words of a language by their keys."""
    text = (_FOLDER / f"{language}.js").read_text(encoding="utf-8")
    found = re.findall(r"'([a-z0-9_.]+)': '((?:[^'\\]|\\.)*)',", text)
    assert len(found) == len(dict(found)), "a key stands there twice"
    return dict(found)
