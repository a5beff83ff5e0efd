"""What speaks for two pictures showing the same, and how likely it makes that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

#: Correlations count as no higher, so that their z is finite.
_MOST_CORRELATED = 0.999


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a query that is laid on a picture.

    ``cosine`` is their vectors'. Of ``matches`` pairs of cells that are each other's nearest, ``inliers`` lie on each
    other; of the thumbnails, ``blocks`` do, and ``correlation`` is their mean correlation. ``likeness`` is the mean
    cosine of cells that lie on each other once the query has been straightened. ``corners`` lie on each other.
    """

    cosine: float
    blocks: int
    correlation: float
    matches: int = 0
    inliers: int = 0
    likeness: float = 0.0
    corners: int = 0


def measures(evidence: Evidence) -> dict[str, float]:
    """What a logistic regression weighs, by the names of its weights.

    Correlations enter as Fisher's z times the root of the number of blocks ("On the 'probable error' of a coefficient
    of correlation deduced from a small sample", 1921): a correlation counts the more, the more blocks it comes from.
    """
    correlation = min(max(evidence.correlation, -_MOST_CORRELATED), _MOST_CORRELATED)
    return {
        "cosine": evidence.cosine,
        "correlation": math.atanh(correlation) * math.sqrt(evidence.blocks),
        "matches": math.log1p(evidence.matches),
        "inliers": math.log1p(evidence.inliers),
        "likeness": evidence.likeness,
        "corners": math.log1p(evidence.corners),
    }


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic regression on the :func:`measures` of evidence."""

    cosine: float
    correlation: float
    matches: float
    inliers: float
    likeness: float
    corners: float
    offset: float

    def probability(self, evidence: Evidence) -> float:
        """How likely it is that both show the same."""
        logit = sum(getattr(self, name) * value for name, value in measures(evidence).items()) - self.offset
        return 1 / (1 + math.exp(-logit))


@dataclass(frozen=True, slots=True)
class ProofCalibration:
    """How evidence is read: of the whole query covering a whole picture, of a part found by its cells, of the
    query looked at again after it was straightened, and of a part found by its corners.

    A probability of ``least`` counts as proof.
    """

    whole: Weights
    part: Weights
    again: Weights
    corners: Weights
    least: float

    @staticmethod
    def of(values: Mapping[str, Any]) -> ProofCalibration:
        """From a model's card. Raises KeyError, TypeError or ValueError if something is missing or no number."""
        calibration = ProofCalibration(
            _weights(values["whole"]),
            _weights(values["part"]),
            _weights(values["again"]),
            _weights(values["corners"]),
            float(values["least"]),
        )
        if not 0 < calibration.least < 1:
            raise ValueError("a calibration that proves everything or nothing")
        return calibration


def _weights(values: Mapping[str, Any]) -> Weights:
    weights = Weights(**{field.name: float(values[field.name]) for field in fields(Weights)})
    if not all(map(math.isfinite, astuple(weights))):
        raise ValueError("a weight that is not finite")
    return weights


_NOTHING = Weights(cosine=0, correlation=0, matches=0, inliers=0, likeness=0, corners=0, offset=0)

#: Without local maps nothing is ever proved.
NO_PROOF = ProofCalibration(_NOTHING, _NOTHING, _NOTHING, _NOTHING, least=1)
