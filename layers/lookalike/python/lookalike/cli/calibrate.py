"""``lookalike calibrate``: scores, and what counts as found, that suit your own pictures."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.embedding.embedder import MAP, OnnxEmbedder
from lookalike.embedding.model_card import CARD, CODEBOOKS
from lookalike.embedding.model_path import find_model
from lookalike.errors import InvalidArgument
from lookalike.settings import Settings
from lookalike.training import logistic
from lookalike.training.labelled_csv import Pair, read_pairs
from lookalike.training.pair_scores import Sight, look, once
from lookalike.verification.verifier import DOUBTFUL

app = typer.Typer()

#: The fewest pairs of each sort, right and wrong, that a curve of two numbers is fitted to; and the fewest of both
#: together that say something about a precision of 0.99.
LEAST, LEAST_SAME = 30, 200

#: Less proof than before is enough only where at least so many wrong pairs are doubtful: wrong pairs that nothing speaks
#: for do not tell how much is too little. And what is as likely wrong as right is never enough.
LEAST_DOUBTFUL, LEAST_PROOF = 10, 0.5

#: Thresholds are rounded down to so many digits, so that the pair at the threshold stays found.
_DIGITS = 6


@app.command()
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
    """Fit a kind's scores, and for same what counts as found, to pairs that you have judged.

    Nothing that is stored has to be added again: only how vectors and maps are read changes, not what they are.
    """
    source = find_model(str(model) if model else Settings.from_environment().model)
    if output.resolve() == source.parent.resolve():
        raise InvalidArgument("--output", f"{output} is the folder of the model itself; name another one")
    told, left_out = _evidence(kind, pairs)
    embedder = OnnxEmbedder(source)
    sight = Sight(embedder, kind)
    cosines = sight.cosines(told)
    right = np.array([pair.right for pair in told], bool)
    card = json.loads((source.parent / CARD).read_text())
    lines = [f"{kind}: {len(told)} pairs, {int(right.sum())} of them right", *(f"  {line}" for line in left_out)]
    if kind is Kind.SAME and MAP in card["outputs"]:
        lines += _prove(card, sight.probabilities(told, embedder.proof), right)
        with suppress(InvalidArgument):  # nothing is found by vectors alone, so these pairs need not part them
            _read(card, kind, cosines, right)
    else:
        lines += _read(card, kind, cosines, right)
    card.setdefault("calibrated", {})[kind] = {"pairs": len(told), "right": int(right.sum())}
    write(source, output, card)
    typer.echo("\n".join([*lines, f"Use it with LOOKALIKE_MODEL={output / 'model.onnx'}"]))


def _prove(card: dict[str, Any], probabilities: NDArray[np.float64], right: NDArray[np.bool_]) -> list[str]:
    """Change what counts as proof in a card, and say what that does."""
    before = card["proof"]["least"]
    after = card["proof"]["least"] = least_proof(probabilities, right, before)
    found_before, found_after = probabilities >= before, probabilities >= after
    lines = [
        f"  proof.least                {before:>8} → {after}",
        f"  of what is found is right  {_share(right[found_before]):>8} → {_share(right[found_after])}",
        f"  of what is right is found  {_share(found_before[right]):>8} → {_share(found_after[right])}",
    ]
    doubtful = _doubtful(probabilities, right)
    if doubtful < LEAST_DOUBTFUL:
        lines.append(
            f"  Of the wrong pairs {doubtful} are doubtful, {LEAST_DOUBTFUL} at the least tell whether less proof would do."
        )
    return lines


def least_proof(probabilities: NDArray[np.float64], right: NDArray[np.bool_], before: float) -> float:
    """How probable a proof must be so that, of the pairs proved, PRECISION are right, given how probable each one's is.

    Raises InvalidArgument if the pairs cannot be told apart.
    """
    if probabilities[right].mean() <= probabilities[~right].mean():
        reason = "the right pairs are no more provable than the wrong ones: are 0 and 1 swapped?"
        raise InvalidArgument("--pairs", reason)
    floor = LEAST_PROOF if _doubtful(probabilities, right) >= LEAST_DOUBTFUL else before
    proved = probabilities >= floor
    if not proved.any() or right[proved].mean() >= logistic.PRECISION:
        return floor
    reached = logistic.threshold(probabilities[proved], right[proved])
    least = min(_down(reached or 1), 1 - 10.0**-_DIGITS)
    if reached is None or right[probabilities >= least].mean() < logistic.PRECISION:
        reason = f"however sure the proof, fewer than {logistic.PRECISION:.0%} of the pairs are right: look at the wrong ones"
        raise InvalidArgument("--pairs", reason)
    return least


def _doubtful(probabilities: NDArray[np.float64], right: NDArray[np.bool_]) -> int:
    """How many wrong pairs a search would look at twice."""
    return int(np.count_nonzero(probabilities[~right] >= DOUBTFUL))


def _read(card: dict[str, Any], kind: Kind, x: NDArray[np.float64], right: NDArray[np.bool_]) -> list[str]:
    """Change how a card reads the cosines of a kind, and say what that does."""
    before = card["calibration"][kind]
    after = card["calibration"][kind] = fitted(kind, x, right, before)
    lines = [f"  {name:<10}{before[name]:>8} → {after[name]}" for name in ("slope", "offset", "threshold")]
    if kind is Kind.SAME:
        found = x >= after["threshold"]
        lines.append(
            f"  From the threshold on: {_share(right[found])} right, {_share(found[right])} of the right ones."
        )
    return lines


def fitted(kind: Kind, x: NDArray[np.float64], right: NDArray[np.bool_], before: dict[str, float]) -> dict[str, float]:
    """The calibration of these cosines. Only `same` has a threshold of its own; other kinds keep what they had.

    Raises InvalidArgument if the pairs cannot be told apart.
    """
    slope, offset = logistic.logistic(x, logistic.hedged(right))
    if slope <= 0:
        raise InvalidArgument("--pairs", "the right pairs are no more alike than the wrong ones: are 0 and 1 swapped?")
    threshold = before["threshold"]
    if kind is Kind.SAME:
        found = logistic.threshold(x, right)
        if found is None:
            reason = f"at no cosine are {logistic.PRECISION:.0%} of the pairs right: the most alike of them is wrong"
            raise InvalidArgument("--pairs", reason)
        threshold = _down(found)
    return {"slope": round(slope, 3), "offset": round(offset, 3), "threshold": threshold}


def write(source: Path, output: Path, card: dict[str, Any]) -> None:
    """A model folder of its own: the model's files and this card, which is written last."""
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, output / "model.onnx")
    shutil.copyfile(source.parent / CODEBOOKS, output / CODEBOOKS)
    (output / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def _evidence(kind: Kind, table: Path) -> tuple[list[Pair], list[str]]:
    """The pairs of a table that tell something, each once, and a line for each reason why others are left out.

    Raises InvalidArgument for a table that cannot be used, before anything is embedded.
    """
    judged = read_pairs(table)
    digests = look(judged, table)
    told, left_out = once(judged, digests, table), []
    if len(told) < len(judged):
        left_out.append(f"{len(judged) - len(told)} that repeat others are left out: the same two pictures count once")
    if kind is Kind.SAME:
        differing = [pair for pair in told if digests[pair.query] != digests[pair.picture]]
        if len(differing) < len(told):
            identical = len(told) - len(differing)
            left_out.append(f"{identical} of identical pictures are left out: those are found as they are")
        told = differing
    _enough(kind, told, left_out)
    return told, left_out


def _enough(kind: Kind, pairs: Sequence[Pair], left_out: Sequence[str]) -> None:
    positive = sum(pair.right for pair in pairs)
    negative = len(pairs) - positive
    if min(positive, negative) < LEAST:
        reason = f"{positive} right and {negative} wrong ones; {LEAST} of each are the least"
        raise InvalidArgument("--pairs", "; ".join([reason, *left_out]))
    if kind is Kind.SAME and len(pairs) < LEAST_SAME:
        reason = f"{len(pairs)} pairs; a precision of {logistic.PRECISION:.0%} takes {LEAST_SAME} at the least"
        raise InvalidArgument("--pairs", "; ".join([reason, *left_out]))


def _down(threshold: float) -> float:
    shift: float = 10.0**_DIGITS
    return math.floor(threshold * shift) / shift


def _share(flags: NDArray[np.bool_]) -> str:
    return f"{100 * flags.mean():.1f} %" if len(flags) else "none"
