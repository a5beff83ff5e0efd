"""How many examples property-based tests try: all they ask for in CI, a few where somebody waits for the answer."""

from __future__ import annotations

import os

from hypothesis import settings

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
