"""``lookalike calibrate``: fits scores, and the threshold of what is found, to a user's own judged pairs."""

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
from lookalike.embedding.model_path import CARD, CODEBOOKS, find_model
from lookalike.errors import InvalidArgument
from lookalike.settings import Settings
from lookalike.training import logistic
from lookalike.training.labelled_csv import Pair, read_pairs
from lookalike.training.pair_scores import PairScorer, digests_of, without_repeats
from lookalike.verification.verifier import RETRY_PROBABILITY

app = typer.Typer()

#: Positive pairs, and negative pairs, that a logistic curve (two parameters) is fitted to.
MIN_PAIRS_OF_EACH = 30

#: Pairs that tell a precision of 0.99.
MIN_PAIRS_FOR_SAME = 200

#: Negative pairs with at least the retry probability that are needed to lower the threshold: easy negatives say nothing
#: about where false positives begin.
MIN_DOUBTFUL_NEGATIVES = 10

#: The threshold of a match's probability is never lowered below this.
MIN_PROBABILITY = 0.5

#: Decimal digits that thresholds are rounded down to, so that the pair at the threshold stays found.
_THRESHOLD_DIGITS = 6


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
    usable, left_out = _usable_pairs(kind, pairs)
    embedder = OnnxEmbedder(source)
    sight = PairScorer(embedder, kind)
    cosines = sight.cosines(usable)
    right = np.array([pair.right for pair in usable], bool)
    card = json.loads((source.parent / CARD).read_text())
    lines = [f"{kind}: {len(usable)} pairs, {int(right.sum())} of them right", *(f"  {line}" for line in left_out)]
    if kind is Kind.SAME and MAP in card["outputs"]:
        lines += _fit_min_probability(card, sight.probabilities(usable, embedder.match_scorer), right)
        with suppress(InvalidArgument):  # vectors alone find nothing, so their cosines need not separate these pairs
            _fit_scores(card, kind, cosines, right)
    else:
        lines += _fit_scores(card, kind, cosines, right)
    card.setdefault("calibrated", {})[kind] = {"pairs": len(usable), "right": int(right.sum())}
    write(source, output, card)
    typer.echo("\n".join([*lines, f"Use it with LOOKALIKE_MODEL={output / 'model.onnx'}"]))


def _fit_min_probability(
    card: dict[str, Any], probabilities: NDArray[np.float64], right: NDArray[np.bool_]
) -> list[str]:
    """Set the card's minimum probability of a match; return lines that describe the effect."""
    before = card["proof"]["least"]
    after = card["proof"]["least"] = min_probability(probabilities, right, before)
    found_before, found_after = probabilities >= before, probabilities >= after
    lines = [
        f"  proof.least                {before:>8} → {after}",
        f"  of what is found is right  {_percentage(right[found_before]):>8} → {_percentage(right[found_after])}",
        f"  of what is right is found  {_percentage(found_before[right]):>8} → {_percentage(found_after[right])}",
    ]
    doubtful = _count_doubtful_negatives(probabilities, right)
    if doubtful < MIN_DOUBTFUL_NEGATIVES:
        lines.append(
            f"  Of the wrong pairs {doubtful} are doubtful, {MIN_DOUBTFUL_NEGATIVES} at the least tell whether less proof would do."
        )
    return lines


def min_probability(probabilities: NDArray[np.float64], right: NDArray[np.bool_], before: float) -> float:
    """Return the lowest threshold at which the share of right pairs among those found is at least MIN_PRECISION.

    ``probabilities`` and ``right`` have one value a pair; ``before`` is the present threshold. Raises InvalidArgument
    if the pairs cannot be separated.
    """
    if probabilities[right].mean() <= probabilities[~right].mean():
        reason = "the right pairs are no more provable than the wrong ones: are 0 and 1 swapped?"
        raise InvalidArgument("--pairs", reason)
    floor = MIN_PROBABILITY if _count_doubtful_negatives(probabilities, right) >= MIN_DOUBTFUL_NEGATIVES else before
    accepted = probabilities >= floor
    if not accepted.any() or right[accepted].mean() >= logistic.MIN_PRECISION:
        return floor
    reached = logistic.threshold_at_precision(probabilities[accepted], right[accepted])
    threshold = min(_rounded_down(reached or 1), 1 - 10.0**-_THRESHOLD_DIGITS)
    if reached is None or right[probabilities >= threshold].mean() < logistic.MIN_PRECISION:
        reason = f"however sure the proof, fewer than {logistic.MIN_PRECISION:.0%} of the pairs are right: look at the wrong ones"
        raise InvalidArgument("--pairs", reason)
    return threshold


def _count_doubtful_negatives(probabilities: NDArray[np.float64], right: NDArray[np.bool_]) -> int:
    """Return how many negative pairs a search would retry."""
    return int(np.count_nonzero(probabilities[~right] >= RETRY_PROBABILITY))


def _fit_scores(card: dict[str, Any], kind: Kind, x: NDArray[np.float64], right: NDArray[np.bool_]) -> list[str]:
    """Set the card's calibration of a kind's cosines; return lines that describe the effect."""
    before = card["calibration"][kind]
    after = card["calibration"][kind] = fit_calibration(kind, x, right, before)
    lines = [f"  {name:<10}{before[name]:>8} → {after[name]}" for name in ("slope", "offset", "threshold")]
    if kind is Kind.SAME:
        found = x >= after["threshold"]
        lines.append(
            f"  From the threshold on: {_percentage(right[found])} right, {_percentage(found[right])} of the right ones."
        )
    return lines


def fit_calibration(
    kind: Kind, x: NDArray[np.float64], right: NDArray[np.bool_], before: dict[str, float]
) -> dict[str, float]:
    """Return slope, offset and threshold of these cosines. Only `same` gets a new threshold; others keep ``before``'s.

    Raises InvalidArgument if the pairs cannot be separated.
    """
    slope, offset = logistic.fit_logistic(x, logistic.platt_targets(right))
    if slope <= 0:
        raise InvalidArgument("--pairs", "the right pairs are no more alike than the wrong ones: are 0 and 1 swapped?")
    threshold = before["threshold"]
    if kind is Kind.SAME:
        found = logistic.threshold_at_precision(x, right)
        if found is None:
            reason = (
                f"at no cosine are {logistic.MIN_PRECISION:.0%} of the pairs right: the most alike of them is wrong"
            )
            raise InvalidArgument("--pairs", reason)
        threshold = _rounded_down(found)
    return {"slope": round(slope, 3), "offset": round(offset, 3), "threshold": threshold}


def write(source: Path, output: Path, card: dict[str, Any]) -> None:
    """Write a model folder: copies of the model's files and this card, the card last."""
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, output / "model.onnx")
    shutil.copyfile(source.parent / CODEBOOKS, output / CODEBOOKS)
    (output / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def _usable_pairs(kind: Kind, table: Path) -> tuple[list[Pair], list[str]]:
    """Return the informative pairs of a table, each once, and a line for each reason to leave others out.

    Raises InvalidArgument for an unusable table, before anything is embedded.
    """
    judged = read_pairs(table)
    digests = digests_of(judged, table)
    usable, left_out = without_repeats(judged, digests, table), []
    if len(usable) < len(judged):
        left_out.append(
            f"{len(judged) - len(usable)} that repeat others are left out: the same two pictures count once"
        )
    if kind is Kind.SAME:
        differing = [pair for pair in usable if digests[pair.query] != digests[pair.picture]]
        if len(differing) < len(usable):
            identical = len(usable) - len(differing)
            left_out.append(f"{identical} of identical pictures are left out: those are found as they are")
        usable = differing
    _require_enough(kind, usable, left_out)
    return usable, left_out


def _require_enough(kind: Kind, pairs: Sequence[Pair], left_out: Sequence[str]) -> None:
    """Raise InvalidArgument if there are too few pairs to fit a curve, or a threshold, to."""
    positive = sum(pair.right for pair in pairs)
    negative = len(pairs) - positive
    if min(positive, negative) < MIN_PAIRS_OF_EACH:
        reason = f"{positive} right and {negative} wrong ones; {MIN_PAIRS_OF_EACH} of each are the least"
        raise InvalidArgument("--pairs", "; ".join([reason, *left_out]))
    if kind is Kind.SAME and len(pairs) < MIN_PAIRS_FOR_SAME:
        reason = (
            f"{len(pairs)} pairs; a precision of {logistic.MIN_PRECISION:.0%} takes {MIN_PAIRS_FOR_SAME} at the least"
        )
        raise InvalidArgument("--pairs", "; ".join([reason, *left_out]))


def _rounded_down(threshold: float) -> float:
    shift: float = 10.0**_THRESHOLD_DIGITS
    return math.floor(threshold * shift) / shift


def _percentage(flags: NDArray[np.bool_]) -> str:
    return f"{100 * flags.mean():.1f} %" if len(flags) else "none"
