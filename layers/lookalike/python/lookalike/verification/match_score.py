"""Features of a possible match, and the logistic regressions that turn them into its probability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

#: Larger correlations count as this one, so that Fisher's z is finite.
_MAX_CORRELATION = 0.999


@dataclass(frozen=True, slots=True)
class MatchFeatures:
    """The features of a possible match.

    ``cosine`` is that of both vectors. ``matches`` counts pairs of cells that are mutual nearest neighbours,
    ``inliers`` those of them that the transform moves onto each other. ``blocks`` of the thumbnails were compared, and
    ``correlation`` is their mean correlation. ``mean_cell_cosine`` is that of cells at the same places after
    rectification. ``keypoints`` counts inliers among keypoints.
    """

    cosine: float
    blocks: int
    correlation: float
    matches: int = 0
    inliers: int = 0
    mean_cell_cosine: float = 0.0
    keypoints: int = 0


def feature_vector(features: MatchFeatures) -> dict[str, float]:
    """Return the regressions' inputs by the names of their weights.

    A correlation enters as Fisher's z times the square root of the number of blocks ("On the 'probable error' of a
    coefficient of correlation deduced from a small sample", 1921): it counts more if it comes from more blocks.
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
    """A logistic regression on a :func:`feature_vector`."""

    cosine: float
    correlation: float
    matches: float
    inliers: float
    mean_cell_cosine: float
    keypoints: float
    offset: float

    def probability(self, features: MatchFeatures) -> float:
        """Return the probability that both pictures show the same, in (0, 1)."""
        logit = sum(getattr(self, name) * value for name, value in feature_vector(features).items()) - self.offset
        return 1 / (1 + math.exp(-logit))


@dataclass(frozen=True, slots=True)
class MatchScorer:
    """One regression a stage: whole pictures, parts matched by cells, parts after rectification, keypoints.

    A match of ``min_probability`` or more is accepted.
    """

    whole: LogisticWeights
    partial: LogisticWeights
    rectified: LogisticWeights
    keypoints: LogisticWeights
    min_probability: float

    @staticmethod
    def from_card(values: Mapping[str, Any]) -> MatchScorer:
        """Return the scorer of a model's card. Raises KeyError, TypeError or ValueError if an entry is missing or no
        number."""
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


#: Keys in card.json, which never change, by the names of the weights.
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
    """Return the weights as a model's card keeps them."""
    return {key: getattr(weights, name) for name, key in _CARD_KEYS.items()}


def _weights(values: Mapping[str, Any]) -> LogisticWeights:
    weights = LogisticWeights(**{name: float(values[key]) for name, key in _CARD_KEYS.items()})
    if not all(map(math.isfinite, astuple(weights))):
        raise ValueError("a weight that is not finite")
    return weights


_ZERO_WEIGHTS = LogisticWeights(
    cosine=0, correlation=0, matches=0, inliers=0, mean_cell_cosine=0, keypoints=0, offset=0
)

#: Of a model without feature maps: accepts no match.
NEVER_MATCHES = MatchScorer(_ZERO_WEIGHTS, _ZERO_WEIGHTS, _ZERO_WEIGHTS, _ZERO_WEIGHTS, min_probability=1)
