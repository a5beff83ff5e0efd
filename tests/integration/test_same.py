"""Searches of kind ``same`` through the use cases, with the real model: changed copies are found, others are not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Metadata
from lookalike.domain.search import Match, Reason
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.ranking import MIN_VERIFIED_SCORE
from lookalike.service.search import Search, search
from lookalike.verification.verifier import FeatureMapVerifier
from tests.support.fakes import memory_ports
from tests.support.photographs import NAMES, cropped, jpeg, photograph, png

BOUNDS = Bounds(
    max_bytes=8 << 20, min_side=1, max_side=5000, max_pixels=5000 * 5000, formats=frozenset({"JPEG", "PNG"})
)
LIBRARY_REF = LibraryRef("tenant", "same_hq", Kind.SAME)

#: Never put into the library.
ABSENT = ("coffee.png", "motorcycle_left.png")
PRESENT = tuple(name for name in NAMES if name not in ABSENT)


@pytest.fixture(scope="module")
def ports() -> Ports:
    embedder = OnnxEmbedder(find_model(None))
    made = memory_ports(embedder=embedder, verifier=FeatureMapVerifier(embedder.match_scorer))
    for name in PRESENT:
        add(made, Add(LIBRARY_REF, Source(BOUNDS, data=png(photograph(name))), metadata=Metadata(brief=name)))
    return made


def found(ports: Ports, file: bytes, start: int = 0, count: int = 300) -> tuple[Match, ...]:
    return search(ports, Search(LIBRARY_REF, Source(BOUNDS, data=file), start, count)).matches


def screenshot(picture: Image.Image) -> Image.Image:
    """The picture in an application's window, with a bar above and lines of text below."""
    width, height = picture.size
    shot = Image.new("RGB", (round(width * 1.3), round(height * 1.6)), (245, 245, 245))
    draw = ImageDraw.Draw(shot)
    draw.rectangle((0, 0, shot.width, shot.height // 12), fill=(60, 80, 160))
    for line in range(6):
        y = int(shot.height * (0.78 + 0.03 * line))
        draw.rectangle((20, y, shot.width - 40 - 30 * line, y + 5), fill=(190, 190, 190))
    shot.paste(picture, ((shot.width - width) // 2, shot.height // 9))
    return shot


def captioned(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, int(picture.height * 0.7), picture.width, int(picture.height * 0.85)), fill=(200, 30, 60))
    draw.text((20, int(picture.height * 0.71)), "BEST DAY EVER", fill="white", font_size=picture.height // 9)
    return picture


def print_on_a_table(picture: Image.Image) -> Image.Image:
    """A photograph of a print that lies askew on a table, in light that fades to one side."""
    paper = ImageOps.expand(picture.convert("RGBA"), 12, "white")
    paper.thumbnail((480, 480))
    paper = paper.rotate(17, Image.Resampling.BICUBIC, expand=True)
    table = Image.linear_gradient("L").resize((720, 640)).convert("RGB")
    table.paste(paper, ((720 - paper.width) // 2, (640 - paper.height) // 2), paper)
    light = np.linspace(0.7, 1.1, table.width)[None, :, None]
    return Image.fromarray((np.asarray(table) * light).clip(0, 255).astype(np.uint8))


def on_a_cup(picture: Image.Image) -> Image.Image:
    """A blurred photograph of a small print that lies askew on one of a cup."""
    scene = photograph("coffee.png").convert("RGB").resize((800, 600))
    paper = picture.convert("RGBA")
    paper.thumbnail((260, 260))
    paper = paper.rotate(25, Image.Resampling.BICUBIC, expand=True)
    scene.paste(paper, ((scene.width - paper.width) // 2, (scene.height - paper.height) // 2), paper)
    return scene.filter(ImageFilter.GaussianBlur(1.5))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half of the area": lambda picture: cropped(picture, 0.71),
    "screenshot": screenshot,
    "mirrored": ImageOps.mirror,
    "turned by a quarter": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
    "turned by 10 degrees": lambda picture: picture.rotate(10, Image.Resampling.BICUBIC, expand=True),
    "turned by 25 degrees": lambda picture: picture.rotate(25, Image.Resampling.BICUBIC, expand=True),
    "print on a table": print_on_a_table,
    "poor JPEG": lambda picture: Image.open(io.BytesIO(jpeg(picture, 12))),
    "caption": captioned,
    "grey": lambda picture: ImageOps.grayscale(picture).convert("RGB"),
    "thumbnail": lambda picture: picture.resize((picture.width // 4, picture.height // 4)),
    "border": lambda picture: ImageOps.expand(picture, 80, "black"),
}

#: Many like things all over the picture: too little to hold on to once it is cropped or shown small.
TEXTURES = {"brick.png", "coins.png", "grass.png", "hubble_deep_field.jpg"}

#: Hardly more than a glow in the dark: too little as well once a third of what is seen is empty corners.
HARD = {"turned by 25 degrees": {"rocket.jpg"}}


GREY = {"brick.png", "camera.png", "coins.png", "grass.png"}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_proved_to_be_its_original_and_nothing_else(ports: Ports, change: str) -> None:
    missed = set()
    for name in PRESENT:
        matches = found(ports, png(CHANGES[change](photograph(name))))
        assert [match.candidate.metadata.brief for match in matches] in ([name], [])
        if not matches:
            missed.add(name)
            continue
        if matches[0].reason is Reason.EXACT:
            assert (change, name in GREY) == ("grey", True)
            continue
        assert matches[0].geometric_match is not None
        assert MIN_VERIFIED_SCORE < matches[0].score < 1
    assert missed <= TEXTURES | HARD.get(change, set())


@pytest.mark.parametrize("name", ABSENT)
@pytest.mark.parametrize(
    "change",
    [
        "half of the area",
        "screenshot",
        "mirrored",
        "poor JPEG",
        "grey",
        "border",
        "print on a table",
        "turned by 25 degrees",
    ],
)
def test_a_photograph_that_is_not_in_the_library_finds_nothing(ports: Ports, name: str, change: str) -> None:
    assert found(ports, png(CHANGES[change](photograph(name)))) == ()
    assert found(ports, png(photograph(name))) == ()


def test_the_identical_picture_comes_first_with_score_one_and_needs_no_proof(ports: Ports) -> None:
    first = found(ports, png(photograph("chelsea.png")))[0]
    assert (first.score, first.reason, first.geometric_match) == (1.0, Reason.EXACT, None)


def test_the_proof_says_where_the_picture_lies(ports: Ports) -> None:
    picture = photograph("astronaut.png")
    (match,) = found(ports, png(picture.crop((picture.width // 4, 0, picture.width, picture.height * 3 // 4))))
    assert match.geometric_match is not None
    assert match.geometric_match.transform == pytest.approx((0.75, 0, 0.25, 0, 0.75, 0), abs=0.06)
    assert match.geometric_match.region.left >= 0.2
    assert match.geometric_match.region.bottom <= 0.8


@pytest.mark.parametrize("name", PRESENT)
def test_a_picture_within_a_picture_is_found_by_its_frame(ports: Ports, name: str) -> None:
    (match,) = found(ports, png(on_a_cup(photograph(name))))
    assert match.candidate.metadata.brief == name
    assert match.geometric_match is not None
    a, b, c, d, e, f = match.geometric_match.transform
    assert (a / 2 + b / 2 + c, d / 2 + e / 2 + f) == pytest.approx((0.5, 0.5), abs=0.03)  # both lie in the middle


def hostile() -> dict[str, bytes]:
    """Pictures of next to nothing, each unlike the others."""
    chance = np.random.default_rng(1)
    made = {f"flat {grey}": np.full((200, 300, 3), grey, np.uint8) for grey in (0, 90, 255)}
    made |= {f"noise {size}": chance.integers(0, 256, (size, size, 3), np.uint8) for size in (15, 200, 400)}
    made |= {
        f"strip {h}×{w}": chance.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((1, 5000), (5000, 1), (20, 4000))
    }
    made |= {f"nearly black {most}": chance.integers(0, most, (200, 200, 3), np.uint8) for most in (3, 4, 6)}
    made |= {f"1×1 of {grey}": np.full((1, 1, 3), grey, np.uint8) for grey in (0, 200)}
    made |= {f"flat strip {h}×{w}": np.full((h, w, 3), 60, np.uint8) for h, w in ((1, 5000), (3, 2000))}
    for lines in (10, 16, 25):
        grid = np.full((400, 400, 3), 255, np.uint8)
        grid[::lines], grid[:, ::lines] = 0, 0
        made[f"grid of {lines}"] = grid
    rows, columns = np.indices((400, 400)) // 50
    made["chessboard"] = np.repeat((((rows + columns) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    for place in (60, 250):
        margin = np.full((400, 400, 3), 255, np.uint8)
        margin[place : place + 60, 170:230] = chance.integers(0, 256, (60, 60, 3), np.uint8)
        made[f"margins around {place}"] = margin
    files = {name: png(Image.fromarray(pixels)) for name, pixels in made.items()}
    return files | {f"page {number}": png(page(number)) for number in range(4)}


def page(seed: int) -> Image.Image:
    """A page of text, set like all others."""
    chance = np.random.default_rng(seed)
    paper = Image.new("RGB", (480, 640), "white")
    draw = ImageDraw.Draw(paper)
    for y in range(30, 600, 21):
        words = ("".join(chance.choice(list("abcdefghiklmnoprstuvw"), chance.integers(2, 10))) for _ in range(9))
        draw.text((30, y), " ".join(words)[:55], fill="black", font_size=14)
    return paper


def test_where_there_is_little_to_be_seen_nothing_false_is_found() -> None:
    embedder = OnnxEmbedder(find_model(None))
    ports = memory_ports(embedder=embedder, verifier=FeatureMapVerifier(embedder.match_scorer))
    files = hostile()
    for name, file in files.items():
        add(ports, Add(LIBRARY_REF, Source(BOUNDS, data=file), metadata=Metadata(brief=name)))
    answers = {name: [match.candidate.metadata.brief for match in found(ports, file)] for name, file in files.items()}
    assert answers == {name: [name] for name in files}


def test_pages_are_cut_from_one_list_whatever_is_asked_for() -> None:
    """Sixty copies of one photograph among others: more than one batch is proved, whichever page is wanted."""
    embedder = OnnxEmbedder(find_model(None))
    ports = memory_ports(embedder=embedder, verifier=FeatureMapVerifier(embedder.match_scorer))
    picture = photograph("chelsea.png", 300)
    for number in range(60):
        copy = picture.crop((number % 10, number // 10, picture.width - 3, picture.height - number % 7))
        add(ports, Add(LIBRARY_REF, Source(BOUNDS, data=png(copy)), metadata=Metadata(brief=str(number))))
    for name in PRESENT:
        if name != "chelsea.png":
            add(ports, Add(LIBRARY_REF, Source(BOUNDS, data=png(photograph(name, 300))), metadata=Metadata(brief=name)))
    query = jpeg(picture, 60)
    everything = found(ports, query)
    assert {match.candidate.metadata.brief for match in everything} == {str(number) for number in range(60)}
    for count in (7, 25, 60):
        pages = [match for start in range(0, 70, count) for match in found(ports, query, start, count)]
        assert pages == list(everything)


def ball(light: float) -> Image.Image:
    """A grey ball in the dark, lit from the front."""
    y, x = np.mgrid[0:400, 0:400] - 199.5
    height = np.sqrt(np.clip(1 - (x * x + y * y) / 200**2, 0, None)) ** light
    return Image.fromarray((height * 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("light", [0.7, 1, 1.5])
def test_round_things_that_are_lit_alike_are_not_the_same(ports: Ports, light: float) -> None:
    """A circle of all colours is, in grey, lit like a ball."""
    made = memory_ports(embedder=ports.embedder, verifier=ports.verifier)
    add(made, Add(LIBRARY_REF, Source(BOUNDS, data=png(photograph("color.png")))))
    assert found(made, png(ball(light))) == ()
