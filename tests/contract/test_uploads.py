"""What every store of uploads must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from lookalike.domain.picture import Key
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.errors import RevisionConflict
from lookalike.ports import Uploads

SOURCE = "bucket/uploads/42/cats/猫 1.jpg"
PICTURE = Key("library", "a/../\x00猫")
FIRST = Upload(SOURCE, "0055AED6DCD90281E5", Holding(PICTURE, 1_700_000_000_123, "0123456789abcdef"))
NOTHING = Upload(SOURCE, "00")


def test_unknown_object_is_none(uploads: Uploads) -> None:
    assert uploads.upload(SOURCE) is None
    assert list(uploads.holders(PICTURE)) == []


@pytest.mark.parametrize(
    "upload",
    [
        FIRST,
        NOTHING,
        replace(FIRST, cleared=True),
        replace(FIRST, holds=Holding(PICTURE, None)),
        replace(FIRST, leaves=Holding(Key("other", "\ud800\0"), 7, "w")),
        replace(NOTHING, leaves=Holding(Key("other", "猫"), None)),
        *[replace(one, state=state) for one in (FIRST, NOTHING) for state in UploadState],
    ],
)
def test_every_field_comes_back(uploads: Uploads, upload: Upload) -> None:
    uploads.save_upload(upload, None)
    assert uploads.upload(SOURCE) == upload
    assert uploads.upload(SOURCE.upper()) is None
    uploads.save_upload(FIRST, upload)
    assert uploads.upload(SOURCE) == FIRST


def test_longest_object_keys_are_told_apart(uploads: Uploads) -> None:
    """A bucket's name has 63 characters at most, a key 1024 bytes (Amazon S3, "Naming Amazon S3 objects")."""
    sources = [f"{'b' * 63}/{'猫' * 341}{end}" for end in "xy"]
    made = [Upload(source, str(number), FIRST.holds) for number, source in enumerate(sources)]
    for upload in made:
        uploads.save_upload(upload, None)
    assert [uploads.upload(source) for source in sources] == made
    assert sorted(uploads.holders(PICTURE), key=lambda one: one.source) == made


def test_over_what_is_known_all_is_replaced(uploads: Uploads) -> None:
    uploads.save_upload(FIRST, None)
    second = Upload(SOURCE, "0055AED6DCD90281E6")
    uploads.save_upload(second, FIRST)
    assert uploads.upload(SOURCE) == second


@pytest.mark.parametrize(
    "known",
    [
        None,
        replace(FIRST, sequencer="0055AED6DCD90281E4"),
        replace(FIRST, sequencer=""),
        replace(FIRST, state=UploadState.ADDING),
        replace(FIRST, holds=Holding(PICTURE, 1_700_000_000_124)),
        replace(FIRST, holds=Holding(PICTURE, None)),
    ],
)
def test_over_anything_else_nothing_changes(uploads: Uploads, known: Upload | None) -> None:
    uploads.save_upload(FIRST, None)
    with pytest.raises(RevisionConflict):
        uploads.save_upload(Upload(SOURCE, "0055AED6DCD90281E7"), known)
    with pytest.raises(RevisionConflict):
        uploads.save_upload(replace(FIRST, sequencer="0055AED6DCD90281E7"), known)
    assert uploads.upload(SOURCE) == FIRST
    assert list(uploads.holders(PICTURE)) == [FIRST]


def test_change_of_an_unknown_object_is_refused(uploads: Uploads) -> None:
    with pytest.raises(RevisionConflict):
        uploads.save_upload(FIRST, NOTHING)
    assert uploads.upload(SOURCE) is None
    assert list(uploads.holders(PICTURE)) == []


@pytest.mark.parametrize("known", [None, NOTHING], ids=["first", "change"])
def test_one_of_many_racing_saves_wins(
    uploads: Uploads, together: Callable[[list[Callable[[], object]]], list[object]], known: Upload | None
) -> None:
    if known is not None:
        uploads.save_upload(known, None)
    racing = [Upload(SOURCE, f"0{number}", Holding(Key("library", str(number)), number)) for number in range(8)]
    outcomes = together([partial(uploads.save_upload, one, known) for one in racing])
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["RevisionConflict"] * 7
    winner = racing[outcomes.index(None)]
    assert uploads.upload(SOURCE) == winner
    held = [one for each in racing if each.holds is not None for one in uploads.holders(each.holds.picture)]
    assert held == [winner]


def test_the_holders_of_a_picture_are_the_uploads_that_hold_it_now(uploads: Uploads) -> None:
    other = Key("library", "other")
    made = [Upload(f"bucket/uploads/1/l/{number:03}", "1", Holding(PICTURE, number)) for number in range(120)]
    for upload in made:
        uploads.save_upload(upload, None)
    uploads.save_upload(replace(made[0], holds=Holding(other, 5)), made[0])
    uploads.save_upload(replace(made[1], holds=None), made[1])
    moved = replace(made[2], sequencer="2", state=UploadState.ADDING)
    uploads.save_upload(moved, made[2])
    assert sorted(uploads.holders(PICTURE), key=lambda one: one.source) == [moved, *made[3:]]
    assert [one.source for one in uploads.holders(other)] == [made[0].source]
    assert list(uploads.holders(Key("other", PICTURE.id))) == []


def test_what_changes_while_holders_are_read_does_not_break_the_reading(uploads: Uploads) -> None:
    made = [Upload(f"bucket/{number:03}", "1", Holding(PICTURE, number)) for number in range(120)]
    for upload in made:
        uploads.save_upload(upload, None)
    seen = []
    for one in uploads.holders(PICTURE):
        seen.append(one.source)
        uploads.save_upload(replace(one, holds=None), one)
    assert sorted(seen) == [one.source for one in made]
    assert list(uploads.holders(PICTURE)) == []
