"""What is measured: the service, through its use cases, and beside it methods of one vector a picture."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from lookalike import bootstrap
from lookalike.domain.library import Kind, Shelf
from lookalike.domain.picture import Embedding, Metadata, Pixels
from lookalike.domain.search import Match, Reason
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.errors import PictureError, PictureExists
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search
from lookalike.settings import Settings
from lookalike.training.picture_files import MADE, image, read
from lookalike.training.progress import side_by_side
from lookalike.verification.verifier import LocalMapVerifier
from tests.quality.metrics import Ranking, Real


class Files(Protocol):
    """The bytes of files, by number: a list of them, or files that are read when they are asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, number: int, /) -> bytes:
        """One of them."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Files that are read when they are asked for, however many gigabytes they are together."""

    paths: Sequence[Path]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int, /) -> bytes:
        return self.paths[number].read_bytes()


@dataclass(frozen=True, slots=True)
class Looked:
    """What decoding some files has shown: pictures' digests, and why the other files cannot be used."""

    digests: Mapping[Path, str]
    refused: Mapping[Path, str]


class CachingEmbedder(OnnxEmbedder):
    """Embeds every picture once. With ``uncut``, every candidate counts as found, whatever its cosine.

    It changes nothing of what the service answers but, if ``uncut``, where its list ends.
    """

    def __init__(self, model: Path, memory: dict[bytes, Embedding], *, uncut: bool = False) -> None:
        super().__init__(model)
        self._memory, self._uncut = memory, uncut

    def embed(self, pictures: Sequence[Pixels]) -> list[Embedding]:
        """As the embedder it stands for."""
        keys = [hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest() for pixels in pictures]
        for key, pixels in zip(keys, pictures, strict=True):
            if key not in self._memory:
                self._memory[key] = super().embed([pixels])[0]
        return [self._memory[key] for key in keys]

    def threshold(self, kind: Kind) -> float:
        """The card's, or one that lets everything through."""
        return -1.0 if self._uncut else super().threshold(kind)


@dataclass(frozen=True, slots=True)
class Answer:
    """One match of a page: the library's picture, by its number, and why it was answered."""

    index: int
    score: float
    reason: Reason

    @classmethod
    def of(cls, match: Match) -> Answer:
        """The picture's number is its brief."""
        return cls(int(match.candidate.metadata.brief), match.score, match.reason)


@dataclass(frozen=True, slots=True)
class Service:
    """The service on an empty data folder: pictures go in through ``add`` and are found through ``search``."""

    ports: Ports
    uncut: Ports
    model: Path

    def fill(self, shelf: Shelf, files: Files) -> None:
        """Add the files, their numbers as briefs. One that the shelf has already is left out."""

        def put(number: int) -> None:
            try:
                add(self.ports, Add(shelf, Source(MADE, files[number]), metadata=Metadata(brief=str(number))))
            except PictureExists:
                return

        side_by_side(f"{shelf.name}: add", put, range(len(files)))

    def ask(self, shelf: Shelf, files: Files, count: int, *, uncut: bool = False) -> list[list[Answer]]:
        """The first page of each search, ``count`` matches long; with ``uncut``, as far as its candidates go."""
        ports = self.uncut if uncut else self.ports

        def one(number: int) -> list[Answer]:
            page = search(ports, Search(shelf, Source(MADE, files[number]), count=count))
            return [Answer.of(match) for match in page.matches]

        return side_by_side(f"{shelf.name}: {'rank' if uncut else 'search'}", one, range(len(files)))

    def milliseconds(self, shelf: Shelf, files: Files, searches: int) -> float:
        """Median time of a search by itself, with nothing remembered; of about so many, spread over the files."""
        ports = replace(self.ports, embedder=OnnxEmbedder(self.model))
        times = []
        for number in range(0, len(files), max(1, len(files) // searches)):
            file = files[number]
            began = time.perf_counter()
            search(ports, Search(shelf, Source(MADE, file), count=10))
            times.append(1000 * (time.perf_counter() - began))
        return float(np.median(times))


@contextmanager
def service() -> Iterator[Service]:
    """The service as its environment configures it (LOOKALIKE_MODEL names another model), in a folder of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = Settings.from_environment(data=Path(folder) / "data", log_level="ERROR")
        model, memory = find_model(settings.model), dict[bytes, Embedding]()
        embedder = CachingEmbedder(model, memory)
        ports = bootstrap.build(settings, embedder=embedder, verifier=LocalMapVerifier(embedder.proof))
        yield Service(ports, replace(ports, embedder=CachingEmbedder(model, memory, uncut=True)), model)
        ports.close()


class Vectors(Protocol):
    """A method that makes one vector of a picture; the larger the inner product, the more alike."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def vector(self, picture: Image.Image) -> NDArray[np.float32]:
        """Of length 1."""


class PerceptualHash:
    """64 signs of the lowest frequencies of a 32×32 thumbnail: Zauner, "Implementation and Benchmarking of
    Perceptual Image Hash Functions", 2010. The inner product falls evenly with the Hamming distance.
    """

    name = "pHash"

    def __init__(self) -> None:
        wave = np.arange(8)[:, None] * (2 * np.arange(32)[None, :] + 1)
        self._cosines = np.cos(np.pi / 64 * wave)  # the first rows of the discrete cosine transform, type II

    def vector(self, picture: Image.Image) -> NDArray[np.float32]:
        """64 times ±1/8."""
        small = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
        lowest = (self._cosines @ small @ self._cosines.T).ravel()
        signs: NDArray[np.float32] = np.where(lowest > np.median(lowest[1:]), 0.125, -0.125).astype(np.float32)
        return signs


class ColourHistogram:
    """8×8×8 bins of hue, saturation and value, square roots: the inner product is Bhattacharyya's coefficient."""

    name = "HSV histogram"

    def vector(self, picture: Image.Image) -> NDArray[np.float32]:
        """512 numbers."""
        samples = np.asarray(picture.resize((128, 128)).convert("HSV")).reshape(-1, 3).astype(np.int64) // 32
        counts = np.bincount(samples @ np.array([64, 8, 1]), minlength=512)
        histogram: NDArray[np.float32] = np.sqrt(counts / counts.sum()).astype(np.float32)
        return histogram


class Anchor:
    """One output of a network from a file: one float32 input N×3×224×224, RGB from 0 to 255, squashed to a square."""

    def __init__(self, path: Path, session: onnxruntime.InferenceSession, output: str) -> None:
        self.name = f"{path.stem} {output}"
        self._session, self._output = session, output
        self._input = session.get_inputs()[0].name

    @classmethod
    def all(cls, path: Path) -> list[Anchor]:
        """One for each output of a file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return [cls(path, session, output.name) for output in session.get_outputs()]

    def vector(self, picture: Image.Image) -> NDArray[np.float32]:
        """As the network answers, L2-normalised."""
        pixels = np.asarray(picture.resize((224, 224), Image.Resampling.BILINEAR), np.float32).transpose(2, 0, 1)
        answer: NDArray[Any] = self._session.run([self._output], {self._input: pixels[None]})[0]
        flat = answer.reshape(-1).astype(np.float32)
        return flat / max(float(np.linalg.norm(flat)), 1e-12)


class Remembered:
    """A method's vectors, each file's made once."""

    def __init__(self, method: Vectors) -> None:
        self.name = method.name
        self._method = method
        self._memory: dict[str, NDArray[np.float32]] = {}

    def remember(self, digest: str, picture: Image.Image) -> None:
        """Make the vector of a file with that SHA-256, which has just been decoded."""
        self._memory[digest] = self._method.vector(picture)

    def rank(self, queries: Files, library: Files, places: int, own: Sequence[int]) -> Ranking:
        """The first places of every query; ``own`` is the number of the query in the library, -1 if it is not there."""
        similarity: Real = (self._vectors(queries) @ self._vectors(library).T).astype(np.float64)
        for row, index in enumerate(own):
            if index >= 0:
                similarity[row, index] = -np.inf
        return Ranking.by_similarity(similarity, places)

    def _vectors(self, files: Files) -> NDArray[np.float32]:
        keys = [hashlib.sha256(files[number]).hexdigest() for number in range(len(files))]
        new = {key: number for number, key in enumerate(keys) if key not in self._memory}
        side_by_side(self.name, lambda key: self.remember(key, image(files[new[key]])), list(new))
        return np.stack([self._memory[key] for key in keys])


def look(paths: Sequence[Path], others: Sequence[Remembered]) -> Looked:
    """Decode every file once; the other methods make their vectors of it while it is decoded."""

    def one(path: Path) -> tuple[str, str]:
        try:
            decoded = read(path)
            for method in others:
                method.remember(decoded.file_digest, Image.fromarray(np.asarray(decoded.pixels)))
        except PictureError as error:
            return "", str(error)
        return decoded.digest, ""

    looked = dict(zip(paths, side_by_side("looking at the pictures", one, paths), strict=True))
    return Looked(
        {path: digest for path, (digest, _) in looked.items() if digest},
        {path: why for path, (_, why) in looked.items() if why},
    )


def baselines(anchors: Path | None) -> list[Remembered]:
    """pHash, the colour histogram, and every network of a folder."""
    methods: list[Vectors] = [PerceptualHash(), ColourHistogram()]
    for path in sorted(anchors.glob("*.onnx")) if anchors else ():
        methods += Anchor.all(path)
    return [Remembered(method) for method in methods]
