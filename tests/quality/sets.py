"""Reads folders of pictures as tasks: a library, queries, and the right answers.

A folder is read as the first of these that fits:

- ``MANIFEST.csv`` or ``labels.csv`` in it, with the columns ``path`` and ``label`` and, if wanted, ``task`` (its name
  starts with ``same``, ``similar`` or ``product``) and ``role`` (``library``, ``query``, ``both``; in ``same`` also
  ``distractor``: never added, so that nothing can be found for it);
- a sub-folder per class;
- pictures without labels: then only `same` is measured.

Pictures that the model was fitted on are left out, and so is every class that has one of them. Of what is chosen then,
files that cannot be decoded are left out, and files whose very picture is in the library already.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

from lookalike.domain.library import Kind
from lookalike.training.picture_files import unusable, walk
from tests.quality.methods import Looked, Remembered, look
from tests.support import photographs

ROLES = ("library", "query", "both", "distractor")
TABLES = ("MANIFEST.csv", "labels.csv")

#: Of pictures without a role, one in so many is kept out of `same`'s library.
OUTSIDE = 6

#: Pictures of a task in a quick run.
MAX_QUICK = 200

#: Pictures of a class in a quick run.
MAX_QUICK_CLASS = 25


class SetError(Exception):
    """The folder cannot be measured with; the message is one line."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture file. ``role`` is library, query, both or distractor."""

    path: Path
    label: str = ""
    role: str = "both"


@dataclass(frozen=True, slots=True)
class Copies:
    """The `same` task: queries are changed copies of the library's pictures, and of ``outside``, not in the library.

    ``crowd`` is in the library, too, and never searched for.
    """

    library: tuple[Photo, ...]
    outside: tuple[Photo, ...]
    crowd: tuple[Photo, ...] = ()


@dataclass(frozen=True, slots=True)
class Labelled:
    """A task judged by labels. Without ``queries``, every library picture is a query, and not an answer to itself."""

    name: str
    kind: Kind
    library: tuple[Photo, ...]
    queries: tuple[Photo, ...]


@dataclass(frozen=True, slots=True)
class PictureSet:
    """All tasks of a folder.

    ``learnt``: how many are left out because the model was fitted on them, or on others of their class. ``refused``:
    files that cannot be used, and why. ``twice``: how many files are left out because another one of the same task is the very same picture.
    """

    copies: Copies
    labelled: tuple[Labelled, ...]
    learnt: int = 0
    refused: Mapping[Path, str] = field(default_factory=dict)
    twice: int = 0

    def left_out(self, folder: Path) -> Iterator[str]:
        """Yield lines that say which files are left out, and why."""
        if self.learnt:
            yield f"{self.learnt} pictures left out: the model was fitted on them, or on others of their class"
        if self.twice:
            yield f"{self.twice} left out: each the very picture of another file"
        if self.refused:
            yield unusable(self.refused, folder)

    def photos(self) -> list[Photo]:
        """Return the photos of all tasks."""
        every = [*self.copies.library, *self.copies.outside, *self.copies.crowd]
        return every + [photo for task in self.labelled for photo in (*task.library, *task.queries)]

    def fingerprint(self) -> str:
        """Return 16 hex digits that identify pictures and labels of all tasks, wherever the folder lies."""
        lines = sorted({f"{photo.label} {photo.role} {digest(photo.path)}" for photo in self.photos()})
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read(
    folder: Path,
    learnt: frozenset[str] = frozenset(),
    others: Sequence[Remembered] = (),
    *,
    quick: bool = False,
    crowd: Path | None = None,
) -> PictureSet:
    """Return the tasks of a folder. ``learnt``: digests, by :func:`digest`, of the pictures a model was fitted on.

    ``others``: methods that look at every picture, too. ``crowd``: a folder of further pictures for the library of `same`.

    Raises SetError.
    """
    tasks = _tasks(folder)
    read_ = sum(map(len, tasks.values()))
    tasks = {name: _not_learnt(name, photos, learnt) for name, photos in tasks.items()}
    known = read_ - sum(map(len, tasks.values()))
    copies = _copies(
        [photo for name in tasks if name.startswith("same") for photo in tasks[name]] or _each_once(tasks.values())
    )
    labelled = [task for name, photos in tasks.items() for task in _labelled(name, photos)]
    if quick:
        copies = Copies(_some(copies.library, MAX_QUICK), _some(copies.outside, MAX_QUICK // 5))
        labelled = [_quick(task) for task in labelled]
    if crowd is not None:
        copies = replace(copies, crowd=tuple(_photos(crowd)))
    chosen = PictureSet(copies, tuple(labelled), known)
    pictures = _usable(chosen, look(list(dict.fromkeys(photo.path for photo in chosen.photos())), others))
    left = len(pictures.copies.library) + len(pictures.copies.outside)
    if len(pictures.copies.library) < 2 or not pictures.copies.outside:
        few = f"{folder}: {left} pictures to measure with are too few"
        raise SetError("; ".join([few, *pictures.left_out(folder)]))
    return pictures


def learnt_by(model: Path) -> frozenset[str]:
    """Return the digests of the pictures that a model was fitted on, from the list beside it; empty without a list."""
    path = model.parent / "learnt.txt"
    return frozenset(path.read_text().split()) if path.exists() else frozenset()


@cache
def digest(path: Path) -> str:
    """Return the first 16 hex digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def packaged(folder: Path) -> Path:
    """Write parts of the photographs in packages, a sub-folder a photograph; return the folder.

    Parts do not overlap, so each is a picture of its own; those of one photograph are alike, as pictures of one class.
    Of a texture there is one part.
    """
    for name in (*photographs.SCENES, *photographs.TEXTURES):
        picture = photographs.photograph(name, 1200)
        columns, rows = max(2, picture.width // 150), max(2, picture.height // 130)
        width, height = picture.width // columns, picture.height // rows
        (folder / Path(name).stem).mkdir(parents=True, exist_ok=True)
        for place in [columns + 1] if name in photographs.TEXTURES else range(columns * rows):
            left, top = place % columns * width, place // columns * height
            part = picture.crop((left, top, left + width, top + height))
            if np.asarray(part.convert("L")).std() > 12:  # parts that are all sky are the same everywhere
                part.save(folder / Path(name).stem / f"{place:02}.png")
    return folder


def _tasks(folder: Path) -> dict[str, list[Photo]]:
    """Return the pictures by task; the name is empty where none is given."""
    if not folder.is_dir():
        raise SetError(f"{folder}: there is no such folder")
    for table in TABLES:
        if (folder / table).is_file():
            return _from_table(folder / table)
    return {"": list(_photos(folder))}


def _photos(folder: Path) -> Iterator[Photo]:
    """Return every picture below a folder, labelled by its sub-folder's name."""
    for path in walk(folder):
        yield Photo(path, "" if path.parent == folder else path.relative_to(folder).parts[0])


def _from_table(table: Path) -> dict[str, list[Photo]]:
    tasks: dict[str, list[Photo]] = defaultdict(list)
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"path", "label"} <= set(rows.fieldnames or ()):
                raise SetError(f"{table}: its first line must name the columns path and label")
            for row in rows:
                tasks[row.get("task") or ""].append(_photo(table, rows.line_num, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SetError(f"{table}: it cannot be read as CSV in UTF-8: {error}") from error
    for name in tasks:
        if name and not name.startswith(tuple(Kind)):
            raise SetError(f"{table}: the task {name} does not start with same, similar or product")
    return dict(tasks)


def _photo(table: Path, line: int, row: Mapping[str, str | None]) -> Photo:
    """Return the photo of a row."""
    path, role = table.parent / (row["path"] or ""), row.get("role") or "both"
    if not path.is_file():
        raise SetError(f"{table}: line {line}: no file {path}")
    if role not in ROLES:
        raise SetError(f"{table}: line {line}: the role {role} is none of {', '.join(ROLES)}")
    return Photo(path, row["label"] or "", role)


def _not_learnt(name: str, photos: Sequence[Photo], learnt: frozenset[str]) -> list[Photo]:
    known = {photo for photo in photos if _is_known(photo.path, learnt)} if learnt else set()
    labels = set() if name.startswith("same") else {photo.label for photo in known if photo.label}
    return [photo for photo in photos if photo not in known and photo.label not in labels]


def _is_known(path: Path, learnt: frozenset[str]) -> bool:
    try:
        return path.is_file() and digest(path) in learnt
    except OSError:  # what cannot be read was not learnt from
        return False


def _usable(chosen: PictureSet, looked: Looked) -> PictureSet:
    """Return the set without unusable files and repeated pictures of a library."""
    copies = chosen.copies
    first = _firsts(looked, (*copies.library, *copies.outside))
    more = _firsts(looked, copies.crowd)
    kept = Copies(
        _among(first.values(), copies.library),
        _among(first.values(), copies.outside),
        _among((path for digest, path in more.items() if digest not in first), copies.crowd),
    )
    labelled = tuple(
        replace(
            task,
            library=_among(_firsts(looked, task.library).values(), task.library),
            queries=_among(looked.digests, task.queries),
        )
        for task in chosen.labelled
    )
    every = PictureSet(kept, labelled)
    return replace(
        chosen,
        copies=kept,
        labelled=tuple(task for task in labelled if _enough(task)),
        refused=looked.refused,
        twice=len(looked.digests.keys() - {photo.path for photo in every.photos()}),
    )


def _firsts(looked: Looked, photos: Iterable[Photo]) -> dict[str, Path]:
    """Return the first file of every picture, by the picture's digest."""
    paths = sorted((photo.path for photo in photos if photo.path in looked.digests), reverse=True)
    return {looked.digests[path]: path for path in paths}


def _among(paths: Iterable[Path], photos: Iterable[Photo]) -> tuple[Photo, ...]:
    """Return the photos of these files."""
    wanted = set(paths)
    return tuple(photo for photo in photos if photo.path in wanted)


def _each_once(tasks: Iterable[Sequence[Photo]]) -> list[Photo]:
    photos = {photo.path: replace(photo, role="both") for task in tasks for photo in task}
    return list(photos.values())


def _copies(photos: Sequence[Photo]) -> Copies:
    outside = [photo for photo in photos if photo.role == "distractor"]
    if not outside:
        mixed = Random("outside").sample(photos, len(photos))
        outside = mixed[: len(mixed) // OUTSIDE]
    left_out = set(outside)
    return Copies(tuple(photo for photo in photos if photo not in left_out), tuple(outside))


def _labelled(name: str, photos: Sequence[Photo]) -> Iterator[Labelled]:
    """Yield the task under its name; under both kinds' names where it has none."""
    photos = [photo for photo in photos if photo.label]
    library = tuple(photo for photo in photos if photo.role in ("library", "both"))
    queries = tuple(photo for photo in photos if photo.role == "query")
    for kind in (Kind.PRODUCT, Kind.SIMILAR):
        if name.startswith(kind) or not name:
            yield Labelled(name or str(kind), kind, library, queries)


def _quick(task: Labelled) -> Labelled:
    """Return classes, cut to MAX_QUICK_CLASS pictures, until there are MAX_QUICK pictures."""
    classes: dict[str, list[Photo]] = defaultdict(list)
    for photo in (*task.library, *task.queries):
        classes[photo.label].append(photo)
    order = sorted(classes)
    Random(task.name).shuffle(order)
    kept: list[Photo] = []
    for label in order:
        if len(kept) < MAX_QUICK:
            kept += _some(classes[label], MAX_QUICK_CLASS)
    return _of(task, kept.__contains__)


def _of(task: Labelled, keep: Callable[[Photo], bool]) -> Labelled:
    return replace(task, library=tuple(filter(keep, task.library)), queries=tuple(filter(keep, task.queries)))


def _enough(task: Labelled) -> bool:
    """Return whether there are two classes, and a query with an answer."""
    sizes = Counter(photo.label for photo in task.library)
    there = any(sizes[photo.label] for photo in task.queries) if task.queries else max(sizes.values(), default=0) > 1
    return len(sizes) > 1 and there


def _some(photos: Sequence[Photo], most: int) -> tuple[Photo, ...]:
    return tuple(photos if len(photos) <= most else Random("some").sample(photos, most))
