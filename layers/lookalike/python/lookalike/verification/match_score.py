"""What speaks for two pictures showing the same, and how likely it makes that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

#: Correlations count as no higher, so that their z is finite.
_MAX_CORRELATION = 0.999


@dataclass(frozen=True, slots=True)
class MatchFeatures:
    """What is known of a query that is laid on a picture.

    ``cosine`` is their vectors'. Of ``matches`` pairs of cells that are each other's nearest, ``inliers`` lie on each
    other; of the thumbnails, ``blocks`` do, and ``correlation`` is their mean correlation. ``mean_cell_cosine`` is the mean
    cosine of cells that lie on each other once the query has been straightened. ``keypoints`` lie on each other.
    """

    cosine: float
    blocks: int
    correlation: float
    matches: int = 0
    inliers: int = 0
    mean_cell_cosine: float = 0.0
    keypoints: int = 0


def feature_vector(features: MatchFeatures) -> dict[str, float]:
    """What a logistic regression weighs, by the names of its weights.

    Correlations enter as Fisher's z times the root of the number of blocks ("On the 'probable error' of a coefficient
    of correlation deduced from a small sample", 1921): a correlation counts the more, the more blocks it comes from.
    """
    correlation = min(max(features.correlation, -_MAX_CORRELATION), _MAX_CORRELATION)
    return {
        "cosine": features.cosine,
        "correlation": math.atanh(correlation) * math.sqrt(features.blocks),
        "matches": math.log1p(features.matches),
        "inliers": math.log1p(features.inliers),
        "mean_cell_cosine": features.mean_cell_cosine,
        "keypoints": math.log1p(features.keypoints),
    }


@dataclass(frozen=True, slots=True)
class LogisticWeights:
    """A logistic regression on the :func:`feature_vector` of evidence."""

    cosine: float
    correlation: float
    matches: float
    inliers: float
    mean_cell_cosine: float
    keypoints: float
    offset: float

    def probability(self, features: MatchFeatures) -> float:
        """How likely it is that both show the same."""
        logit = sum(getattr(self, name) * value for name, value in feature_vector(features).items()) - self.offset
        return 1 / (1 + math.exp(-logit))


@dataclass(frozen=True, slots=True)
class MatchScorer:
    """How evidence is read: of the whole query covering a whole picture, of a part found by its cells, of the
    query looked at again after it was straightened, and of a part found by its corners.

    A probability of ``min_probability`` counts as proof.
    """

    whole: LogisticWeights
    partial: LogisticWeights
    rectified: LogisticWeights
    keypoints: LogisticWeights
    min_probability: float

    @staticmethod
    def from_card(values: Mapping[str, Any]) -> MatchScorer:
        """From a model's card. Raises KeyError, TypeError or ValueError if something is missing or no number."""
        scorer = MatchScorer(
            _weights(values["whole"]),
            _weights(values["part"]),
            _weights(values["again"]),
            _weights(values["corners"]),
            float(values["least"]),
        )
        if not 0 < scorer.min_probability < 1:
            raise ValueError("a calibration that proves everything or nothing")
        return scorer


#: The keys of a model's card, by the names of the weights.
_CARD_KEYS = {
    "cosine": "cosine",
    "correlation": "correlation",
    "matches": "matches",
    "inliers": "inliers",
    "mean_cell_cosine": "likeness",
    "keypoints": "corners",
    "offset": "offset",
}


def card_entry(weights: LogisticWeights) -> dict[str, float]:
    """The weights as a model's card keeps them."""
    return {key: getattr(weights, name) for name, key in _CARD_KEYS.items()}


def _weights(values: Mapping[str, Any]) -> LogisticWeights:
    weights = LogisticWeights(**{name: float(values[key]) for name, key in _CARD_KEYS.items()})
    if not all(map(math.isfinite, astuple(weights))):
        raise ValueError("a weight that is not finite")
    return weights


_ZERO_WEIGHTS = LogisticWeights(
    cosine=0, correlation=0, matches=0, inliers=0, mean_cell_cosine=0, keypoints=0, offset=0
)

#: Without local maps nothing is ever proved.
NEVER_MATCHES = MatchScorer(_ZERO_WEIGHTS, _ZERO_WEIGHTS, _ZERO_WEIGHTS, _ZERO_WEIGHTS, min_probability=1)
