"""How many examples property-based tests try: all they ask for in CI, a few where somebody waits for the answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import settings

T = TypeVar("T")

#: As many as a test without a number of its own tries in profile ``fast``, and at most as many as any other.
FEW = 20


def register() -> None:
    """Register the profiles and choose one by CI, as most build services and .ci/run set it.

    ``--hypothesis-profile`` chooses another. How long an example takes says how busy the machine is, and nothing else.
    """
    settings.register_profile("fast", deadline=None, max_examples=FEW)
    settings.register_profile("ci", deadline=None, max_examples=100)
    settings.load_profile("ci" if os.environ.get("CI", "").lower() in ("true", "1") else "fast")


def examples(many: int) -> int:
    """That many in CI, at most FEW elsewhere: what a test's ``settings`` take for ``max_examples``."""
    return min(many, FEW) if settings.get_current_profile_name() == "fast" else many


def spread(cases: Sequence[T], many: int = FEW) -> Sequence[T]:
    """All cases in CI; elsewhere at most that many of them, evenly spread, the first and the last among them.

    For what a test tries one after the other: each length that a file is cut to, each call at which a process ends.
    """
    if settings.get_current_profile_name() != "fast" or len(cases) <= many:
        return cases
    return [cases[place * (len(cases) - 1) // (many - 1)] for place in range(many)]
