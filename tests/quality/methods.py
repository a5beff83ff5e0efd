"""The measured methods: the service, through its use cases, and methods with one vector a picture."""

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
from lookalike.domain.library import Kind, LibraryRef
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
from lookalike.training.picture_files import ANY_SIZE, image, read
from lookalike.training.progress import parallel_map
from lookalike.verification.verifier import FeatureMapVerifier
from tests.quality.metrics import Ranking, Real


class Files(Protocol):
    """The bytes of files, by number: in memory, or read on access."""

    def __len__(self) -> int:
        """Return the number of files."""

    def __getitem__(self, number: int, /) -> bytes:
        """Return the bytes of one file."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Files that are read on access."""

    paths: Sequence[Path]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int, /) -> bytes:
        return self.paths[number].read_bytes()


@dataclass(frozen=True, slots=True)
class Looked:
    """The digests of decoded files, and why the others cannot be used."""

    digests: Mapping[Path, str]
    refused: Mapping[Path, str]


class CachingEmbedder(OnnxEmbedder):
    """Embeds every picture once. With ``uncut``, every candidate counts as found, whatever its cosine.

    The service answers as with the embedder itself, but with ``uncut`` its lists are longer.
    """

    def __init__(self, model: Path, memory: dict[bytes, Embedding], *, uncut: bool = False) -> None:
        super().__init__(model)
        self._memory, self._uncut = memory, uncut

    def embed(self, pictures: Sequence[Pixels]) -> list[Embedding]:
        """Embed as the wrapped embedder does."""
        keys = [hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest() for pixels in pictures]
        for key, pixels in zip(keys, pictures, strict=True):
            if key not in self._memory:
                self._memory[key] = super().embed([pixels])[0]
        return [self._memory[key] for key in keys]

    def threshold(self, kind: Kind) -> float:
        """Return the card's threshold, or with ``uncut`` one below every cosine."""
        return -1.0 if self._uncut else super().threshold(kind)


@dataclass(frozen=True, slots=True)
class Answer:
    """One match of a page: the picture's number in the library, its score, and the reason."""

    index: int
    score: float
    reason: Reason

    @classmethod
    def of(cls, match: Match) -> Answer:
        """Return the answer of a match, whose brief is the picture's number."""
        return cls(int(match.candidate.metadata.brief), match.score, match.reason)


@dataclass(frozen=True, slots=True)
class Service:
    """The service on an empty data folder, used through ``add`` and ``search``."""

    ports: Ports
    uncut: Ports
    model: Path

    def fill(self, ref: LibraryRef, files: Files) -> None:
        """Add the files, with their numbers as briefs; skip pictures that are present."""

        def put(number: int) -> None:
            try:
                add(self.ports, Add(ref, Source(ANY_SIZE, files[number]), metadata=Metadata(brief=str(number))))
            except PictureExists:
                return

        parallel_map(f"{ref.name}: add", put, range(len(files)))

    def ask(self, ref: LibraryRef, files: Files, count: int, *, uncut: bool = False) -> list[list[Answer]]:
        """Return the first page of each search, ``count`` matches long; with ``uncut``, all its candidates."""
        ports = self.uncut if uncut else self.ports

        def one(number: int) -> list[Answer]:
            page = search(ports, Search(ref, Source(ANY_SIZE, files[number]), count=count))
            return [Answer.of(match) for match in page.matches]

        return parallel_map(f"{ref.name}: {'rank' if uncut else 'search'}", one, range(len(files)))

    def milliseconds(self, ref: LibraryRef, files: Files, searches: int) -> float:
        """Return the median time of about ``count`` searches, one by one and without any cache, spread over the files."""
        ports = replace(self.ports, embedder=OnnxEmbedder(self.model))
        times = []
        for number in range(0, len(files), max(1, len(files) // searches)):
            file = files[number]
            began = time.perf_counter()
            search(ports, Search(ref, Source(ANY_SIZE, file), count=10))
            times.append(1000 * (time.perf_counter() - began))
        return float(np.median(times))


@contextmanager
def service() -> Iterator[Service]:
    """Open the service, configured by the environment (LOOKALIKE_MODEL names another model), in a new folder."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = Settings.from_environment(data=Path(folder) / "data", log_level="ERROR")
        model, memory = find_model(settings.model), dict[bytes, Embedding]()
        embedder = CachingEmbedder(model, memory)
        ports = bootstrap.build(settings, embedder=embedder, verifier=FeatureMapVerifier(embedder.match_scorer))
        yield Service(ports, replace(ports, embedder=CachingEmbedder(model, memory, uncut=True)), model)
        ports.close()


class Vectors(Protocol):
    """A method with one vector a picture; the inner product is the similarity."""

    @property
    def name(self) -> str:
        """The name in tables."""

    def vector(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return the vector, of norm 1."""


class PerceptualHash:
    """64 signs of the lowest frequencies of a 32×32 thumbnail: Zauner, "Implementation and Benchmarking of
    Perceptual Image Hash Functions", 2010. The inner product falls evenly with the Hamming distance.
    """

    name = "pHash"

    def __init__(self) -> None:
        wave = np.arange(8)[:, None] * (2 * np.arange(32)[None, :] + 1)
        self._cosines = np.cos(np.pi / 64 * wave)  # the first rows of the discrete cosine transform, type II

    def vector(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return 64 numbers, each ±1/8."""
        small = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
        lowest = (self._cosines @ small @ self._cosines.T).ravel()
        signs: NDArray[np.float32] = np.where(lowest > np.median(lowest[1:]), 0.125, -0.125).astype(np.float32)
        return signs


class ColourHistogram:
    """8×8×8 bins of hue, saturation and value, square roots: the inner product is Bhattacharyya's coefficient."""

    name = "HSV histogram"

    def vector(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return 512 numbers."""
        samples = np.asarray(picture.resize((128, 128)).convert("HSV")).reshape(-1, 3).astype(np.int64) // 32
        counts = np.bincount(samples @ np.array([64, 8, 1]), minlength=512)
        histogram: NDArray[np.float32] = np.sqrt(counts / counts.sum()).astype(np.float32)
        return histogram


class Anchor:
    """One output of a network in a file; the input is float32 N×3×224×224, RGB from 0 to 255, squashed."""

    def __init__(self, path: Path, session: onnxruntime.InferenceSession, output: str) -> None:
        self.name = f"{path.stem} {output}"
        self._session, self._output = session, output
        self._input = session.get_inputs()[0].name

    @classmethod
    def all(cls, path: Path) -> list[Anchor]:
        """Return a method for each output of a file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return [cls(path, session, output.name) for output in session.get_outputs()]

    def vector(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return the network's output, L2-normalised."""
        pixels = np.asarray(picture.resize((224, 224), Image.Resampling.BILINEAR), np.float32).transpose(2, 0, 1)
        answer: NDArray[Any] = self._session.run([self._output], {self._input: pixels[None]})[0]
        flat = answer.reshape(-1).astype(np.float32)
        return flat / max(float(np.linalg.norm(flat)), 1e-12)


class Remembered:
    """A method's vectors, computed once a file."""

    def __init__(self, method: Vectors) -> None:
        self.name = method.name
        self._method = method
        self._memory: dict[str, NDArray[np.float32]] = {}

    def remember(self, digest: str, picture: Image.Image) -> None:
        """Compute the vector of a decoded file with that SHA-256."""
        self._memory[digest] = self._method.vector(picture)

    def rank(self, queries: Files, library: Files, places: int, own: Sequence[int]) -> Ranking:
        """Return the first places of every query; ``own`` is the query's own number in the library, or -1."""
        similarity: Real = (self._vectors(queries) @ self._vectors(library).T).astype(np.float64)
        for row, index in enumerate(own):
            if index >= 0:
                similarity[row, index] = -np.inf
        return Ranking.by_similarity(similarity, places)

    def _vectors(self, files: Files) -> NDArray[np.float32]:
        keys = [hashlib.sha256(files[number]).hexdigest() for number in range(len(files))]
        new = {key: number for number, key in enumerate(keys) if key not in self._memory}
        parallel_map(self.name, lambda key: self.remember(key, image(files[new[key]])), list(new))
        return np.stack([self._memory[key] for key in keys])


def look(paths: Sequence[Path], others: Sequence[Remembered]) -> Looked:
    """Decode every file once, and compute the other methods' vectors of it."""

    def one(path: Path) -> tuple[str, str]:
        try:
            decoded = read(path)
            for method in others:
                method.remember(decoded.file_digest, Image.fromarray(np.asarray(decoded.pixels)))
        except PictureError as error:
            return "", str(error)
        return decoded.digest, ""

    looked = dict(zip(paths, parallel_map("looking at the pictures", one, paths), strict=True))
    return Looked(
        {path: digest for path, (digest, _) in looked.items() if digest},
        {path: why for path, (_, why) in looked.items() if why},
    )


def baselines(anchors: Path | None) -> list[Remembered]:
    """Return pHash, the colour histogram, and every network of a folder."""
    methods: list[Vectors] = [PerceptualHash(), ColourHistogram()]
    for path in sorted(anchors.glob("*.onnx")) if anchors else ():
        methods += Anchor.all(path)
    return [Remembered(method) for method in methods]
