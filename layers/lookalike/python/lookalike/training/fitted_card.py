"""Writes a fitted model's facts to its card, and keeps what people wrote there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lookalike.embedding.model_path import CARD
from lookalike.training.fit_inputs import Pictures

#: The card's name for the sources of the pictures that heads and scores were fitted on.
HEADS_LEARNT_FROM = "pictures the heads and the scores were fitted on"


def write_card(path: Path, changes: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> None:
    """Replace these entries of ``base``, or of the card at ``path``, and write it there, whole or not at all.

    Other entries stay, but quality: it is dropped where the name it was measured under changes.
    """
    before = base if base is not None else json.loads(path.read_text()) if path.exists() else {}
    card = {name: entry for name, entry in before.items() if name != "quality" or before.get("name") == changes["name"]}
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(json.dumps(card | dict(changes), indent=2, ensure_ascii=False) + "\n")
    unfinished.replace(path)


def base_card(folder: Path) -> dict[str, Any]:
    """Return the entries of the shipped model's card in ``folder`` that hold for every model of its network."""
    shipped = json.loads((folder / CARD).read_text())
    base = {name: shipped[name] for name in ("licence", "notice", "proof") if name in shipped}
    return base | {"sources": [source for source in shipped["sources"] if source["what"] != HEADS_LEARNT_FROM]}


def fit_record(pictures: Pictures, learn: Sequence[int], rest: Sequence[int]) -> dict[str, Any]:
    """Return the card's entry that says how to repeat the fit."""
    return {
        "seed": pictures.seed,
        "learnt_from": len(learn),
        "copies_of_each": pictures.copies,
        "calibrated_on": len(rest),
        "pictures_sha256": sha256_of_all(pictures.paths),
        "pictures_sha256_is": "SHA-256 of the pictures' SHA-256s in hexadecimal, sorted, joined by line feeds",
    }


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sha256_of_all(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the files' SHA-256s in hexadecimal, sorted, joined by line feeds; names do not count."""
    return hashlib.sha256("\n".join(sorted(sha256(path) for path in paths)).encode()).hexdigest()
