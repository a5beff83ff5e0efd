"""Calls for one picture, as callers make them, and what each does to the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from lookalike.domain.picture import sign_of
from lookalike.imaging.decode import FORMATS, Bounds, decode
from tests.faults import model
from tests.faults.model import Name, Step
from tests.support.baidu import picture
from tests.support.native import image

#: Files that pictures are made of, and where each is its own id, the pictures.
FILES = [picture(number, size=(16, 16)) for number in range(5)]
SIGNS = [sign_of(decode(file, Bounds(1 << 20, 1, 64, 4096, FORMATS)).digest) for file in FILES]

#: A library whose pictures are their own ids, and one of callers' ids.
SAME, SHOP = "same_hq", "shop"

numbers = st.integers(0, len(FILES) - 1)
briefs = st.sampled_from(["one", "two", "three"])


@dataclass(frozen=True, slots=True)
class Act:
    """A call for one picture, and what it does to the model."""

    kind: str
    name: Name
    file: int
    brief: str

    def of(self, name: Name) -> Act:
        """Return the same call for another picture."""
        return replace(self, name=name, file=name[1] if name[0] == SAME else self.file)

    @property
    def method(self) -> str:
        return {"add": "POST", "put": "PUT", "update": "PATCH", "delete": "DELETE", "restore": "POST"}[self.kind]

    @property
    def path(self) -> str:
        if self.kind == "add":
            return f"/libraries/{SAME}/pictures"
        return _path(self.name) + ("/restore" if self.kind == "restore" else "")

    @property
    def said(self) -> Any:
        said = {"brief": self.brief}
        if self.kind == "add":
            return said | {"image": image(FILES[self.file]), "on_duplicate": "refuse"}
        if self.kind == "put":
            return said | {"image": image(FILES[self.file])}
        return said if self.kind == "update" else None

    @property
    def step(self) -> Step:
        steps: dict[str, Step] = {
            "add": model.add(self.file, self.brief),
            "put": model.put(self.file, self.brief),
            "update": model.update(self.brief),
            "delete": model.delete,
            "restore": model.restore,
        }
        return steps[self.kind]


def _acts(kind: str) -> st.SearchStrategy[Act]:
    """Calls of a kind for pictures of both libraries; adds go to the one, puts to the other."""
    libraries = [SAME] if kind == "add" else [SHOP] if kind == "put" else [SAME, SHOP]
    named = st.tuples(st.sampled_from(libraries), numbers)
    return st.builds(lambda name, file, brief: Act(kind, name, file, brief).of(name), named, numbers, briefs)


adds, puts, updates, deletes, restores = map(_acts, ("add", "put", "update", "delete", "restore"))
acts = st.one_of(adds, puts, updates, deletes, restores)


def _path(name: Name) -> str:
    library, number = name
    return f"/libraries/{library}/pictures/{f'p{number}' if library == SHOP else SIGNS[number]}"
