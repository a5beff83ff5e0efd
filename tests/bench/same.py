"""Measures verified searches of kind ``same`` in a library of 10,000 pictures, and the library's size on disk.

python -m tests.bench.same [--json FILE] [--quick] [--full]
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture, State
from lookalike.domain.search import Reason
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.imaging.decode import decode
from lookalike.ports import Ports
from lookalike.service.image_source import Source
from lookalike.service.reranking import BATCH_SIZE, run_stages
from lookalike.service.search import Search, search
from lookalike.stores.local import picture_row
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.training import augment
from lookalike.training.fitted_views import fitted_crops
from lookalike.verification.quadrilaterals import detect_quadrilaterals
from tests.bench.model import MODEL
from tests.bench.pipeline import BOUNDS, Call, Nearest, each, nearest, pixels_of, proving, run, service
from tests.bench.report import Report, median_ms, median_ms_each
from tests.support import photographs

LIBRARY = "e" * 32
LIBRARY_REF = LibraryRef("bench", "same_hq", Kind.SAME)
NAMES = sorted({*photographs.NAMES, *photographs.SCENES, *photographs.TEXTURES})
SIZE = (640, 480)


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What a library keeps of a picture: its vector and its local map."""

    vector: np.ndarray[tuple[int], np.dtype[np.float16]]
    feature_map: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """Query files by expected result, and the share of tried files that gave it."""

    there: Sequence[bytes]
    absent: Sequence[bytes]
    proved: float
    told_apart: float


def measure(report: Report, *, quick: bool, full: bool) -> None:
    """Build the library, search in it, and measure its size."""
    size, real = (300, 100) if quick else (10_000, 10_000 if full else 1_000)
    embedder = OnnxEmbedder(MODEL)
    stored = [*library(embedder, size, real)]
    with service(lambda data: fill(data / "catalog.db", embedder.model, stored)) as ports:
        made = queries(ports, 10 if quick else 50)
        searches(report, ports, made, f"{size:,} pictures, {real:,} of them embedded")
        parts(report, ports, made)
    weigh(report, stored[:1000], embedder.model)


def library(embedder: OnnxEmbedder, size: int, real: int) -> Iterator[Stored]:
    """The upper left quarter of every photograph; then pictures of the lower halves.

    These are cuts, each blended with another, so that none is like the next; they are near what is searched for, as
    other pictures of one place are, and yet no copies of it. What is not embedded has a vector between those of two
    that are, and the local map of the nearer.
    """
    chance = random.Random(2)
    made = [embedded(embedder, picture) for picture in pictures(real, chance)]
    yield from made
    others = made[len(NAMES) :]
    for _ in range(size - real):
        near, far = chance.sample(others, 2)
        share = chance.uniform(0.6, 1)
        vector = share * near.vector.astype(np.float32) + (1 - share) * far.vector.astype(np.float32)
        yield Stored((vector / np.linalg.norm(vector)).astype(np.float16), near.feature_map)


def pictures(count: int, chance: random.Random) -> Iterator[Image.Image]:
    """Yield the upper left quarter of every photograph, and then cuts of the lower halves, ``count`` pictures in all."""
    for name in NAMES:
        yield quarter(name, 0, 0)
    halves = [lower(name) for name in NAMES]
    for _ in range(count - len(NAMES)):
        first, second = (cut(half, chance) for half in chance.sample(halves, 2))
        yield Image.blend(first, second, chance.uniform(0, 0.3))


def quarter(name: str, column: int, row: int) -> Image.Image:
    """Return a quarter of a photograph."""
    picture = photographs.photograph(name, 2000)
    width, height = picture.width // 2, picture.height // 2
    return picture.crop((column * width, row * height, (column + 1) * width, (row + 1) * height)).resize(SIZE)


def lower(name: str) -> Image.Image:
    """Return the lower half of a photograph."""
    picture = photographs.photograph(name, 2000)
    return picture.crop((0, picture.height // 2, picture.width, picture.height))


def cut(picture: Image.Image, chance: random.Random) -> Image.Image:
    """Return a random part of a picture."""
    width, height = (int(side * chance.uniform(0.4, 1)) for side in picture.size)
    left, top = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height)).resize(SIZE)


def embedded(embedder: OnnxEmbedder, picture: Image.Image) -> Stored:
    """What is kept of a picture."""
    (made,) = embedder.embed([np.asarray(picture)])
    return Stored(made.vectors[Kind.SAME], made.feature_map)


def fill(file: Path, model: str, stored: Sequence[Stored]) -> None:
    """A catalog with these pictures and maps in one library; how they got there is no matter."""
    with closing(SqliteStores(file)) as stores:
        stores.catalog.create_library(
            Library(LIBRARY_REF.tenant, LIBRARY_REF.name, LIBRARY, LIBRARY_REF.kind, Identity.PICTURE, created=1)
        )
    rows = [row(number, model, one) for number, one in enumerate(stored)]
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(picture_row.INSERT, [picture_row.row_of(one) for one in rows])
        maps = [(one.object_key, kept.feature_map) for one, kept in zip(rows, stored, strict=True)]
        connection.executemany("INSERT INTO maps (key, data) VALUES (?, ?)", maps)
    FolderStore(file.parent / "originals")  # a folder with pictures and without that has lost it, and is not opened


def row(number: int, model: str, stored: Stored) -> Picture:
    """Return a live row with a short brief."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    revision = 1_767_323_045_000 + number
    return Picture(
        key=Key(LIBRARY, digest),
        kind=Kind.SAME,
        revision=revision,
        added=revision,
        state=State.LIVE,
        digest=digest,
        file_digest=digest,
        model=model,
        vector=stored.vector,
        metadata=Metadata(brief=brief(number)),
    )


def brief(number: int) -> str:
    """Return the brief of a picture."""
    return f'{{"id": {number}}}'


def queries(ports: Ports, count: int) -> Searches:
    """Changed copies of pictures that are there, each proved to be one, and of pictures that are not.

    A copy that is not proved is replaced by another: how long it takes would be the figure of a search in vain.
    """
    chance = random.Random(3)
    names = itertools.cycle(NAMES)
    kept: dict[int, list[bytes]] = {0: [], 1: []}
    tried = Counter[int]()
    for column, files in kept.items():
        while len(files) < count:
            name = next(names)
            file = changed(name, column, chance.choice([other for other in NAMES if other != name]), chance)
            tried[column] += 1
            if ask(ports, file) == ([brief(NAMES.index(name))] if column == 0 else []):
                files.append(file)
    return Searches(kept[0], kept[1], proved=count / tried[0], told_apart=count / tried[1])


def changed(name: str, column: int, behind: str, chance: random.Random) -> bytes:
    """A changed copy of an upper quarter, of 640 pixels on the longer side. What may show behind it is not there."""
    copy = augment.augment_copy(quarter(name, column, 0), quarter(behind, 1, 0), chance)
    scale = 640 / max(copy.size)
    return photographs.jpeg(copy.resize((max(15, round(copy.width * scale)), max(15, round(copy.height * scale)))))


def ask(ports: Ports, file: bytes) -> list[str]:
    """The briefs of what the use case finds by proof."""
    found = search(ports, Search(LIBRARY_REF, Source(BOUNDS, data=file))).matches
    return [match.candidate.metadata.brief for match in found if match.reason is Reason.VERIFIED]


def searches(report: Report, ports: Ports, made: Searches, what: str) -> None:
    """Measure the use case beside its parts: decode, five views, verification, and quadrilaterals without a match."""
    group = f"Verified search in same, one thread, use case ({what})"
    for name, files in (("one is proved", made.there), ("there is none", made.absent)):
        pixels = pixels_of(files)
        took = median_ms_each(
            {
                "search": each(files, lambda file: ask(ports, file)),
                "decode": each(files, lambda file: decode(file, BOUNDS)),
                "five views": each(pixels, lambda one: ports.embedder.embed(fitted_crops(Kind.SAME, one))),
                "proof": each([proving(ports, LIBRARY, file) for file in files], run),
            },
            2 * len(files),
        )
        if files is made.absent:
            took["frames"] = median_ms(each(pixels, detect_quadrilaterals), 2 * len(files))
            report.add(group, f"of it frames, {name}", took["frames"], "ms")
        searching, proof = took.pop("search"), took["proof"]
        least = sum(took.values())
        report.add(group, f"search, {name}", searching, "ms", floor=least, aim="≤ 120 ms, ≤ 1.3 ×")
        report.add(group, f"of it proof, {name}", proof, "ms")
    framed = [bool(detect_quadrilaterals(one)) for one in pixels_of(made.absent)]
    report.add(
        group, "pictures not there that have frames, which are searched for", 100 * sum(framed) / len(framed), "%"
    )
    report.add(group, "changed copies that were proved at once", 100 * made.proved, "%")
    report.add(group, "others that were told from all", 100 * made.told_apart, "%")


def parts(report: Report, ports: Ports, made: Searches) -> None:
    """Verification piece by piece."""
    group = f"Verification, one thread (a batch is {BATCH_SIZE} candidates)"
    there, absent = (
        [nearest(ports, LIBRARY, file, BATCH_SIZE) for file in files] for files in (made.there, made.absent)
    )
    times = 2 * len(there)
    ready = median_ms(each(there, lambda near: ports.verifier.query(near.pixels, near.views)), times)
    report.add(group, "getting five views ready", ready, "ms")
    keys = [[candidate.object_key for candidate in near.candidates] for near in there]
    report.add(group, "reading a batch's maps", median_ms(each(keys, ports.maps.maps), times), "ms")
    for name, nears in (("the first is proved", there), ("none is proved", absent)):
        proofs = [proving_batch(ports, near) for near in nears]
        report.add(group, f"proving a batch, {name}", median_ms(each(proofs, run), times), "ms")


def proving_batch(ports: Ports, near: Nearest) -> Call:
    """A call that proves candidates whose maps have been read."""
    query = ports.verifier.query(near.pixels, near.views)
    maps = ports.maps.maps([candidate.object_key for candidate in near.candidates])
    pictures = [(candidate.cosine, maps[candidate.object_key]) for candidate in near.candidates]

    def call() -> None:
        run_stages(query, ports.embedder, pictures, None)

    return call


def weigh(report: Report, stored: Sequence[Stored], model: str) -> None:
    """Measure the bytes a picture, without its original."""
    group = "Bytes a picture (the index's memory is measured with the stores)"
    with tempfile.TemporaryDirectory(dir="build") as folder:
        file = Path(folder) / "catalog.db"
        fill(file, model, stored)
        both = size_of(file)
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("DELETE FROM maps")
        rows = size_of(file)
    vector, local_map = stored[0].vector.nbytes, len(stored[0].feature_map)
    report.add(group, "vector", vector, "bytes")
    report.add(group, "local map", local_map, "bytes")
    report.add(group, "row on the disk", rows / len(stored), "bytes", floor=vector)
    report.add(group, "local map on the disk", (both - rows) / len(stored), "bytes", floor=local_map)


def size_of(database: Path) -> int:
    """Return the bytes of an SQLite file without its free pages."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database.stat().st_size


def main() -> None:
    """Measure kind ``same`` alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--full", action="store_true", help="embed every picture of the library (some minutes more)")
    chosen = parser.parse_args()
    report = Report()
    measure(report, quick=chosen.quick, full=chosen.full)
    report.print(Console())
    if chosen.json:
        chosen.json.write_text(json.dumps(report.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
