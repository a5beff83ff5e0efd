"""The models that pictures are searched with, and a change from one to another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

#: Pictures embedded by a new model in a second, at most, unless the operator says otherwise: what one core does beside searches.
DEFAULT_RATE = 20.0


class Phase(StrEnum):
    """How far the model beside the live one is."""

    FILLING = "filling"  #: its vectors are being made
    FILLED = "filled"  #: it has the vectors of all pictures, and may go live
    RETIRED = "retired"  #: it was live, and may be so again
    DROPPING = "dropping"  #: its vectors are being removed


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model whose files are kept beside the pictures.

    ``name`` is the card's, by which its vectors are known. ``card`` and ``graph`` are the first 16 hexadecimal digits of the
    SHA-256 of the card and of the ONNX file.
    """

    name: str
    card: str
    graph: str

    def has_vectors_of(self, other: ModelRef) -> bool:
        """Whether both models make the same vectors and maps, so that they differ in scores alone."""
        return (self.name, self.graph) == (other.name, other.graph)


@dataclass(frozen=True, slots=True)
class ModelsInUse:
    """The model that searches use, and another one that waits to take its place, or has left it.

    ``rate`` is the number of pictures that are embedded in a second at most. ``lost`` pictures cannot be embedded, as their
    originals are lost or damaged; ``examples`` names some, by library (uid) and id. ``began`` is when the phase began, in Unix milliseconds. ``revision``
    grows with every change.
    """

    live: ModelRef
    other: ModelRef | None = None
    phase: Phase | None = None
    began: int = 0
    rate: float = DEFAULT_RATE
    lost: int = 0
    examples: tuple[str, ...] = ()
    revision: int = 0

    @property
    def has_two(self) -> bool:
        """Whether there may be vectors of two models."""
        return self.other is not None and not self.other.has_vectors_of(self.live)

    @property
    def written(self) -> tuple[ModelRef, ...]:
        """The models by which every picture is embedded that is added now."""
        if self.other is None or not self.has_two or self.phase is Phase.DROPPING:
            return (self.live,)
        return self.live, self.other

    def begun(self, phase: Phase | None, now: int) -> ModelsInUse:
        """Return the same models in another phase, which began now."""
        return replace(self, phase=phase, began=now)

    def swapped(self, phase: Phase, now: int) -> ModelsInUse:
        """Return the models with the other one live. Raises ValueError if there is no other."""
        if self.other is None:
            raise ValueError("no other model")
        return replace(self, live=self.other, other=self.live, phase=phase, began=now)

    def to_json(self) -> str:
        """Return all but the revision as JSON."""
        values = asdict(self)
        del values["revision"]
        return json.dumps(values)

    @classmethod
    def of_json(cls, text: str, revision: int) -> ModelsInUse:
        """Return the models of :meth:`to_json`. Raises KeyError, TypeError or ValueError for other text."""
        values = json.loads(text)
        other, phase = values["other"], values["phase"]
        return cls(
            ModelRef(**values["live"]),
            None if other is None else ModelRef(**other),
            None if phase is None else Phase(phase),
            int(values["began"]),
            float(values["rate"]),
            int(values["lost"]),
            tuple(values["examples"]),
            revision,
        )
