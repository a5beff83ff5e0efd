"""What speaks for two pictures showing the same, and how likely it makes that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a query and a picture.

    ``cosine`` is their vectors'. Of ``matches`` pairs of cells that are each other's nearest, ``inliers`` lie on each
    other; of the thumbnails, ``blocks`` do, and ``correlation`` is their mean correlation.
    """

    cosine: float
    matches: int
    inliers: int
    blocks: int
    correlation: float


@dataclass(frozen=True, slots=True)
class ProofCalibration:
    """A logistic regression on evidence, and the probability from which on it counts as proof."""

    cosine: float
    matches: float
    inliers: float
    correlation: float
    blocks: float
    offset: float
    least: float

    @staticmethod
    def of(values: Mapping[str, Any]) -> ProofCalibration:
        """From a model's card. Raises KeyError, TypeError or ValueError if something is missing or no number."""
        calibration = ProofCalibration(**{field.name: float(values[field.name]) for field in fields(ProofCalibration)})
        if not (0 < calibration.least < 1 and all(map(math.isfinite, astuple(calibration)))):
            raise ValueError("a calibration of proofs that proves everything or nothing")
        return calibration

    def logit(self, evidence: Evidence) -> float:
        """The logarithm of the odds that both show the same."""
        return (
            self.cosine * evidence.cosine
            + self.matches * math.log1p(evidence.matches)
            + self.inliers * math.log1p(evidence.inliers)
            + self.correlation * evidence.correlation
            + self.blocks * evidence.correlation * math.sqrt(evidence.blocks)
            - self.offset
        )

    def probability(self, evidence: Evidence) -> float:
        """How likely it is that both show the same."""
        return 1 / (1 + math.exp(-self.logit(evidence)))


#: Without local maps nothing is ever proved.
NO_PROOF = ProofCalibration(cosine=0, matches=0, inliers=0, correlation=0, blocks=0, offset=0, least=1)
