"""``lookalike calibrate``: scores and threshold that suit your own pictures."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lookalike.cli.tables import Pair, read_pairs
from lookalike.embedding import calibration
from lookalike.embedding.card import CARD, CODEBOOKS
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.location import find_model
from lookalike.embedding.views import views
from lookalike.errors import InvalidArgument, PictureError
from lookalike.model import Kind, Pixels
from lookalike.picture.decode import FORMATS, Bounds, decode
from lookalike.settings import Settings

#: The fewest pairs of each sort, right and wrong, that a curve of two numbers is fitted to; and the fewest of both
#: together that say something about a precision of 0.99.
LEAST, LEAST_SAME = 30, 200

#: These are the user's own files, not strangers'.
_BOUNDS = Bounds(
    max_bytes=100 << 20,
    min_side=1,
    max_side=30_000,
    max_pixels=200_000_000,
    formats=FORMATS,
)

_console = Console(stderr=True)


def calibrate(
    pairs: Annotated[
        Path, typer.Option(help="CSV of two picture files and 0 or 1: query, picture, are they the same?")
    ],
    output: Annotated[Path, typer.Option(help="The folder to write the model and its new card to.")],
    kind: Annotated[Kind, typer.Option(help="The kind of search whose scores these pairs say something about.")],
    model: Annotated[
        Path | None, typer.Option(help="The model to calibrate; default: the one the service uses.")
    ] = None,
) -> None:
    """Fit a kind's scores, and for same its threshold, to pairs that you have judged.

    Nothing that is stored has to be added again: only the reading of the vectors changes, not the vectors.
    """
    source = find_model(str(model) if model else Settings.from_environment().model)
    if output.resolve() == source.parent.resolve():
        raise InvalidArgument("--output", f"{output} is the folder of the model itself; name another one")
    judged = read_pairs(pairs)
    right = np.array([pair.right for pair in judged], bool)
    _enough(kind, right)
    x = cosines(OnnxEmbedder(source), kind, judged)
    card = json.loads((source.parent / CARD).read_text())
    before = card["calibration"][kind]
    after = fitted(kind, x, right, before)
    card["calibration"][kind] = after
    card.setdefault("calibrated", {})[kind] = {"pairs": len(judged), "right": int(right.sum())}
    write(source, output, card)
    typer.echo(f"{kind}: {len(judged)} pairs, {int(right.sum())} of them right")
    for name in ("slope", "offset", "threshold"):
        typer.echo(f"  {name:<10}{before[name]:>8} → {after[name]}")
    if kind is Kind.SAME:
        found = x >= after["threshold"]
        typer.echo(f"  From the threshold on: {_share(right[found])} right, {_share(found[right])} of the right ones.")
    typer.echo(f"Use it with LOOKALIKE_MODEL={output / 'model.onnx'}")


def cosines(embedder: OnnxEmbedder, kind: Kind, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """The cosine of every pair as a search sees it: the largest over the views of its query."""

    @cache
    def embedded(path: Path, whole: bool) -> NDArray[np.float32]:
        pixels = _pixels(path)
        shown = [pixels] if whole else views(kind, pixels)
        return np.stack([one.vectors[kind] for one in embedder.embed(shown)]).astype(np.float32)

    return np.array(
        [
            float((embedded(pair.query, False) @ embedded(pair.picture, True)[0]).max())
            for pair in track(pairs, "Embedding the pairs", console=_console, transient=True)
        ]
    )


def fitted(kind: Kind, x: NDArray[np.float64], right: NDArray[np.bool_], before: dict[str, float]) -> dict[str, float]:
    """The calibration of these cosines. Only `same` has a threshold of its own; other kinds keep what they had.

    Raises InvalidArgument if the pairs cannot be told apart.
    """
    slope, offset = calibration.logistic(x, calibration.hedged(right))
    if slope <= 0:
        raise InvalidArgument("--pairs", "the right pairs are no more alike than the wrong ones: are 0 and 1 swapped?")
    threshold = before["threshold"]
    if kind is Kind.SAME:
        found = calibration.threshold(x, right)
        if found is None:
            reason = f"at no cosine are {calibration.PRECISION:.0%} of the pairs right: the most alike of them is wrong"
            raise InvalidArgument("--pairs", reason)
        threshold = math.floor(found * 1e6) / 1e6  # down, so that the pair at the threshold stays found
    return {"slope": round(slope, 3), "offset": round(offset, 3), "threshold": threshold}


def write(source: Path, output: Path, card: dict[str, Any]) -> None:
    """A model folder of its own: the model's files and this card, which is written last."""
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, output / "model.onnx")
    shutil.copyfile(source.parent / CODEBOOKS, output / CODEBOOKS)
    (output / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def _enough(kind: Kind, right: NDArray[np.bool_]) -> None:
    positive, negative = int(right.sum()), int((~right).sum())
    if min(positive, negative) < LEAST:
        raise InvalidArgument("--pairs", f"{positive} right and {negative} wrong ones; {LEAST} of each are the least")
    if kind is Kind.SAME and len(right) < LEAST_SAME:
        reason = f"{len(right)} pairs; a precision of {calibration.PRECISION:.0%} takes {LEAST_SAME} at the least"
        raise InvalidArgument("--pairs", reason)


def _pixels(path: Path) -> Pixels:
    try:
        return decode(path.read_bytes(), _BOUNDS).pixels
    except (PictureError, OSError) as error:
        raise InvalidArgument("--pairs", f"{path}: {error}") from error


def _share(flags: NDArray[np.bool_]) -> str:
    return f"{100 * flags.mean():.1f} %"
