"""Searches for the figures: the engine itself, on photographs that anybody may use.

The photographs are those of scikit-image (``make setup`` puts them into ``.venv/pictures``): astronaut and
hubble_deep_field by NASA and rocket by SpaceX are in the public domain; camera by Lav Varshney, chelsea by Stefan van der
Walt and coffee by Rachel Michetti are CC0.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from PIL import Image

from lookalike import bootstrap
from lookalike.domain.geometry import Affine, GeometricMatch
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Key, Metadata
from lookalike.domain.search import Candidate, Match
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.reranking import Reranked, Reranker, Undecided
from lookalike.service.search import Search, search
from lookalike.settings import Settings

#: What is in the library of the figures, and a photograph that is not.
LIBRARY = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg")
STRANGER = "camera.png"

_PHOTOGRAPHS = Path(__file__).parents[2] / ".venv/pictures/skimage/data"
_REF = LibraryRef("docs", "same_hq", Kind.SAME)
_BOUNDS = Bounds(4 << 20, 15, 4096, 4096 * 4096, frozenset({"JPEG"}))

#: Longest side of a photograph, in pixels.
_SIDE = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """A query, its first answer and the last stage of verification that it took. Without an answer three are None.

    ``transform`` moves the query's points to the picture's, as fractions of their sides.
    """

    query: str
    stage: int
    picture: str | None = None
    score: float | None = None
    transform: Affine | None = None


def photograph(name: str) -> Image.Image:
    """A photograph of scikit-image, its longer side at most ``_SIDE`` pixels."""
    picture = Image.open(_PHOTOGRAPHS / name).convert("RGB")
    picture.thumbnail((_SIDE, _SIDE))
    return picture


def answers(queries: Mapping[str, Image.Image]) -> list[Answer]:
    """What a new library with the photographs answers."""
    with _library({name: photograph(name) for name in LIBRARY}) as ports:
        return [_answer(ports, query, picture) for query, picture in queries.items()]


def matches(library: Mapping[str, Image.Image], queries: Mapping[str, Image.Image]) -> Mapping[str, Sequence[Match]]:
    """All that a new library with these pictures answers, by query; a picture's name is its brief."""
    with _library(library) as ports:
        return {
            query: search(ports, Search(_REF, _source(picture, quality=40))).matches
            for query, picture in queries.items()
        }


@contextmanager
def _library(pictures: Mapping[str, Image.Image]) -> Iterator[Ports]:
    with tempfile.TemporaryDirectory() as folder, closing(bootstrap.build(Settings(data=Path(folder)))) as ports:
        for name, picture in pictures.items():
            add(ports, Add(_REF, _source(picture, quality=90), Metadata(brief=name)))
        yield ports


def _answer(ports: Ports, query: str, picture: Image.Image) -> Answer:
    embedder, verify, decide = ports.embedder, Reranker.verify, Undecided.decide
    verified: list[bool] = []
    decided: list[bool] = []

    def verifying(reranker: Reranker, candidates: Sequence[Candidate]) -> Reranked:
        found = verify(reranker, candidates)
        verified.append(bool(found.matches))
        return found

    def deciding(undecided: Undecided) -> Mapping[Key, GeometricMatch]:
        found = decide(undecided)
        decided.append(bool(found))
        return found

    with (
        patch.object(Reranker, "verify", verifying),
        patch.object(Undecided, "decide", deciding),
        patch.object(embedder, "embed", wraps=embedder.embed) as embedded,
    ):
        page = search(ports, Search(_REF, _source(picture)))
    passes = sum(len(call.args[0]) for call in embedded.call_args_list)
    # What is embedded beside the views of the looks is rectified; what the first look verifies takes no further stage.
    rectified = passes > sum(look.views for look in page.looks)
    stage = 3 if any(decided) else 4 if not verified[0] and len(verified) > 1 else 2 if rectified else 1
    return _first(query, stage, page.matches)


def _first(query: str, stage: int, matches: Sequence[Match]) -> Answer:
    if not matches:
        return Answer(query, stage)
    first = matches[0]
    if first.geometric_match is None:
        raise ValueError(f"{query}: answered without verification")
    return Answer(query, stage, first.candidate.metadata.brief, first.score, first.geometric_match.transform)


def _source(picture: Image.Image, quality: int = 75) -> Source:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Source(_BOUNDS, data=file.getvalue())
