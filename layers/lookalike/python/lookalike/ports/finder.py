"""Looking for pictures elsewhere than in the thread that asks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from lookalike.domain.library import Library
from lookalike.domain.model_change import ModelRef
from lookalike.domain.picture import Decoded, Pixels
from lookalike.domain.search import Candidate, Found, TagFilter
from lookalike.limits.call import Job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Looking:
    """A picture to be looked for in libraries of one kind, among the ``depth`` nearest pictures with ``tags``.

    ``nearest`` asks the index, given vectors of shape (V, DIMENSION), a row a view; it raises Busy or Abandoned if the
    answer is no longer wanted. ``here`` does all of the work in the thread that calls it, on behalf of the job. ``model`` is the
    one to look with; None: that of the settings, which was never changed. ``seen`` returns what is looked at of the
    picture's pixels; None: all of them.
    """

    job: Job
    libraries: Sequence[Library]
    depth: int
    tags: TagFilter | None
    picture: Decoded
    nearest: Callable[[NDArray[np.floating]], Sequence[Candidate]]
    here: Callable[[Job], Found]
    model: ModelRef | None = None
    seen: Callable[[Pixels], Pixels] | None = None

    def reduced(self) -> Looking:
        """Return the same with the pixels alone that are looked at: what is found elsewhere does not differ."""
        if self.seen is None:
            return self
        return replace(self, picture=replace(self.picture, pixels=self.seen(self.picture.pixels)), seen=None)


class Finder(Protocol):
    """Decides where pictures are looked for. Safe to call from several threads."""

    @abstractmethod
    def find(self, looking: Looking) -> Found:
        """Return what is found, as ``looking.here`` would. Raises what that raises."""
