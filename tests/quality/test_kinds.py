"""Drawings, attacks and tables of libraries of one kind."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from lookalike.domain.search import Reason
from tests.quality import __main__ as yardstick
from tests.quality import attacks, close_pairs, drawings, emoji, kinds, kinds_gate, kinds_report
from tests.quality.close_pairs import CLOSE
from tests.quality.drawings import COPIES, KINDS
from tests.quality.kinds import ALARM, Asked
from tests.quality.kinds_gate import Gated
from tests.quality.measure import Case, Figures, Findings
from tests.quality.methods import Answer
from tests.quality.sets import SetError
from tests.support.photographs import photograph


@pytest.mark.parametrize("kind", KINDS)
def test_drawings_depend_on_the_seed_alone_and_none_equals_another(kind: str) -> None:
    first, again = (drawings.library(kind, 7, 6, 6) for _ in range(2))
    pictures = [picture.tobytes() for picture in (*first.members, *first.strangers)]
    assert pictures == [picture.tobytes() for picture in (*again.members, *again.strangers)]
    assert len(set(pictures)) == 12
    other = drawings.library(kind, 8, 6, 0)
    assert {picture.tobytes() for picture in other.members} != set(pictures[:6])
    assert {picture.mode for picture in first.members} == {"RGB"}
    assert len({picture.size for picture in first.members}) == 1


def test_there_are_eighteen_kinds_of_documents() -> None:
    assert len(drawings.DOCUMENTS) == 18
    assert len(KINDS) == len(drawings.DOCUMENTS) + len(drawings.DESIGNS)


@pytest.mark.parametrize("kind", [kind for kind, drawn in KINDS.items() if drawn.sisters])
def test_sisters_differ_in_colour_where_their_member_has_the_same_shape(kind: str) -> None:
    drawn = drawings.library(kind, 7, 4, 4)
    for member, sister in zip(drawn.members, drawn.strangers, strict=True):
        outlines = [len(picture.getcolors(picture.width * picture.height) or ()) for picture in (member, sister)]
        assert abs(outlines[0] - outlines[1]) <= 1
        assert member.tobytes() != sister.tobytes()


def test_a_pack_holds_no_more_than_its_cards() -> None:
    pack = drawings.library("playing card", 7, 45, 7)
    assert len({picture.tobytes() for picture in (*pack.members, *pack.strangers)}) == 52


@pytest.mark.parametrize("change", COPIES)
def test_copies_depend_on_their_random_alone(change: str) -> None:
    picture = drawings.library("invoice", 7, 1, 0).members[0]
    first, again = (COPIES[change](picture, Random(3)) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != picture.tobytes()


@pytest.mark.parametrize("attack", attacks.ATTACKS)
@pytest.mark.parametrize("size", [(300, 200), (90, 240)])
def test_attacks_depend_on_their_random_alone(attack: str, size: tuple[int, int]) -> None:
    picture, other = (photograph(name).resize(size) for name in ("chelsea.png", "coffee.png"))
    first, again = (attacks.draw(attack, picture, [other], Random(3)) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != picture.tobytes()
    assert max(first.size) <= attacks.LONGEST


@pytest.mark.parametrize(("attack", "share"), [("crop 20", 0.2), ("crop 10", 0.1)])
def test_crops_keep_their_share(attack: str, share: float) -> None:
    picture = photograph("chelsea.png")
    copy = attacks.draw(attack, picture, [], Random(3))
    assert copy.width * copy.height == pytest.approx(share * picture.width * picture.height, rel=0.03)


def test_what_is_turned_and_cut_has_no_empty_corners() -> None:
    white = Image.new("RGB", (400, 300), "white")
    for number in range(10):
        copy = attacks.draw("turned inside", white, [], Random(number))
        assert copy.getcolors() == [(copy.width * copy.height, (255, 255, 255))]


def answer(index: int, score: float) -> Answer:
    return Answer(index, score, Reason.VERIFIED)


STRANGER, COPY = Asked(b"", "flag", "", -1), Asked(b"", "flag", "grey", 4)


def test_false_alarms_and_copies_are_counted_apart() -> None:
    above, below = ALARM + 0.001, ALARM - 0.001
    figures = kinds.kind_figures(
        [STRANGER, STRANGER, STRANGER, STRANGER, COPY, COPY, COPY, COPY],
        [
            *([answer(1, above)], [answer(1, below)], [], []),
            *([answer(4, above)], [answer(4, above), answer(1, above)], [answer(1, below), answer(4, below)], []),
        ],
    )
    assert figures == {
        "strangers": 4,
        "answered": 0.5,
        "alarms": 0.25,
        "alarms_by_size": dict.fromkeys(drawings.SIZES, 0.0),
        "above_recoloured": 0.5,
        "copies": 4,
        "right_first": 0.5,
        "several": 2,
        "ordered": 0.5,
        "recompressed": 0,
        "surely": 0.0,
        "by_change": {"grey": 0.5},
        "others": 0.25,
    }


def test_recompressed_copies_are_to_score_as_clients_expect() -> None:
    copy = Asked(b"", "flag", "recompressed", 4)
    pages = [[answer(4, kinds.RECOMPRESSED)], [answer(4, 0.97)], [answer(1, 0.99)], []]
    figures = kinds.kind_figures([copy] * 4, pages)
    assert (figures["recompressed"], figures["surely"]) == (2, 0.5)


def test_a_group_holds_every_kind_once() -> None:
    assert sorted(kind for group in kinds_gate.GROUPS.values() for kind in group) == sorted(KINDS)


def test_strangers_are_asked_as_they_are_and_smaller_or_blurred() -> None:
    drawn = drawings.library("poster", 1, members=1, strangers=4)
    asked = [query.change for query in kinds._queries(drawn, 0, kinds.QUICK, 1) if query.match < 0]
    assert asked == ["full", "half", "full", "third", "full", "third, poor", "full", "blurred"]


def test_alarms_are_told_by_size() -> None:
    small = replace(STRANGER, change="half")
    figures = kinds.kind_figures([replace(STRANGER, change="full"), small], [[], [answer(1, 0.99)]])
    assert (figures["alarms"], figures["alarms_by_size"]["full"], figures["alarms_by_size"]["half"]) == (0.5, 0, 1)


@pytest.mark.parametrize("kind", CLOSE)
def test_close_sisters_differ_and_are_drawn_alike_again(kind: str) -> None:
    pair, again = (CLOSE[kind](Random(f"5 {kind}")) for _ in range(2))
    assert pair.picture.size == pair.other.size
    assert pair.picture.tobytes() == again.picture.tobytes() != pair.other.tobytes() == again.other.tobytes()


def test_an_attack_is_missed_or_mistaken() -> None:
    figures = kinds.attack_figures([COPY, COPY, COPY, STRANGER], [[answer(4, 1)], [answer(1, 1)], [], []])
    assert figures == {"copies": 3, "right_first": pytest.approx(1 / 3), "wrong_first": pytest.approx(1 / 3)}


FIGURES: dict[str, Figures] = {
    "drawings": {
        "library": 20,
        "kinds": {"flag": kinds.kind_figures([STRANGER, COPY], [[answer(1, 1)], [answer(4, 0.95)]])},
        "reliability": [{"low": 0.9, "high": 0.92, "count": 7, "claimed": 0.91, "true": 0.5}],
        "sure": 7,
        "sure_right": 0.41,
    },
    "among themselves": {"emoji: <faces>": {"pictures": 92, "answered": 0.8, "alarms": 0.7, "others": 12.5}},
    "attacks": {
        "library": 20,
        "attacks": {"crop 10": {"copies": 3, "right_first": 0.25, "wrong_first": 0.125}},
        "strangers": 8,
        "answered": 0.0,
        "alarms": 0.0,
        "reliability": [],
        "sure": 0,
        "sure_right": 0.0,
    },
    "cost": {
        "pass": 14.0,
        "searches": {"nothing there": {"searches": 3, "passes": 5.0, "processor": 140.0, "clock": 99.0}},
    },
}


def test_tables_show_every_figure(tmp_path: Path) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    kinds_report.show(console, FIGURES)
    shown = " ".join(console.export_text().split())
    for cell in (
        "flag",
        "100.0",
        "0.9 to 0.92",
        "of 7 above 0.985, 41.0 % are right",
        "12.5",
        "crop 10",
        "25.0",
        "10.0",
        "5.0",
    ):
        assert cell in shown
    picture = io.BytesIO()
    photograph("chelsea.png", 64).save(picture, "PNG")
    case = Case("drawings", "flag", True, picture.getvalue(), picture.getvalue(), None, "stranger; score 0.9999")
    page = kinds_report.render(Findings(FIGURES, [case]), "a <test>")
    assert "emoji: &lt;faces&gt;" in page
    assert "a &lt;test&gt;" in page
    assert "stranger; score 0.9999" in page
    assert page.count("data:image/jpeg;base64,") == 2


def _limits(share: float, count: int, *, falling: bool = False) -> dict[str, float]:
    return Gated(share, count, falling).stored()


def test_limits_are_as_far_as_chance_goes() -> None:
    assert _limits(0.9, 100) == {"figure": 90.0, "at_least": pytest.approx(85.0, abs=0.2)}
    assert _limits(0.9, 10_000)["at_least"] == pytest.approx(89.5, abs=0.05)
    assert _limits(0.1, 100, falling=True) == {"figure": 10.0, "at_most": pytest.approx(15.0, abs=0.2)}
    assert _limits(1.0, 100)["at_least"] == pytest.approx(98.8, abs=0.1)  # one of a hundred, and not two
    assert _limits(0.0, 36, falling=True)["at_most"] == pytest.approx(3.2, abs=0.1)  # one of 36, and not two
    assert _limits(1.0, 4)["at_least"] <= 75.0


@given(share=st.floats(0, 1), count=st.integers(1, 10_000), falling=st.booleans())
def test_a_figure_is_within_its_own_limit(share: float, count: int, falling: bool) -> None:
    stored = _limits(share, count, falling=falling)
    assert 0 <= stored.get("at_least", 0) <= stored["figure"] <= stored.get("at_most", 100) <= 100


def test_a_kind_that_falls_beyond_its_limit_is_named(tmp_path: Path) -> None:
    expected = tmp_path / "expected.json"
    kinds_gate.store(FIGURES, "these", "a test", expected)
    assert kinds_gate.shortfalls(FIGURES, "these", expected) == []
    fallen = json.loads(json.dumps(FIGURES))
    fallen["attacks"]["answered"] = 0.5
    fallen["among themselves"]["emoji: <faces>"]["alarms"] = 0.8
    assert kinds_gate.shortfalls(fallen, "these", expected) == [
        "emoji: <faces>: others above 0.985: 80.0, stored 70.0, at most 77.9",
        "photographs that are not there: answered: 50.0, stored 0.0, at most 13.3",
    ]
    del fallen["drawings"]
    assert "drawings answered above 0.985: right: not measured, stored 41.0" in kinds_gate.shortfalls(
        fallen, "these", expected
    )
    assert not any("flag" in name or "crop" in name for name in kinds_gate.gated(FIGURES))  # one query, and three
    with pytest.raises(KeyError):
        kinds_gate.shortfalls(FIGURES, "those", expected)


@pytest.mark.slow
def test_the_command_asks_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = kinds.Size(members=2, strangers=1, copied=1, attacked=1, emoji=0, timed=1, photographs=3)
    monkeypatch.setattr(kinds, "QUICK", few)
    monkeypatch.setattr(drawings, "KINDS", {kind: KINDS[kind] for kind in ("poster", "part recoloured")})
    monkeypatch.setattr(close_pairs, "CLOSE", {"plate": CLOSE["plate"]})
    monkeypatch.setattr(attacks, "ATTACKS", {name: attacks.ATTACKS[name] for name in ("screenshot", "pixelated")})
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    assert yardstick.main(["--kinds", "--quick", "--json", str(figures), "--page", str(page)]) == 0
    tasks = json.loads(figures.read_text())["tasks"]
    assert list(tasks["drawings"]["kinds"]) == ["poster", "part recoloured"]
    assert tasks["drawings"]["kinds"]["poster"]["by_change"]["recompressed"] == 1
    assert tasks["close"]["kinds"]["plate"]["strangers"] == 2
    assert tasks["close"]["kinds"]["plate"]["alarms"] == 0
    assert tasks["attacks"]["attacks"]["screenshot"]["copies"] == 1
    assert tasks["cost"]["searches"]["recompressed copy"]["passes"] >= 1
    assert "seed 2026" in capsys.readouterr().out
    assert "<h1>Libraries of one kind" in page.read_text()


def test_emoji_come_out_of_the_pinned_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / emoji.WHEEL, "w") as wheel:
        wheel.writestr("augly/assets/twemojis/flags/france.png", b"picture")
        wheel.writestr("augly/assets/twemojis/food/cake.png", b"another")
    with pytest.raises(SetError, match="another file than the one that is pinned"):
        emoji.categories(tmp_path)
    pinned = hashlib.sha256((tmp_path / emoji.WHEEL).read_bytes()).hexdigest()
    monkeypatch.setattr(emoji, "SHA256", pinned)
    assert emoji.categories(tmp_path) == {"faces": [], "objects": [], "flags": [b"picture"], "symbols": []}


def test_emoji_that_cannot_be_had_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SetError, match="cannot be downloaded"):
        emoji.categories(tmp_path)
