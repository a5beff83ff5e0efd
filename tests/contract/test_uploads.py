"""What every store of uploads must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from lookalike.errors import RevisionConflict
from lookalike.model import Key, Upload
from lookalike.ports import Uploads

SOURCE = "bucket/uploads/42/cats/猫 1.jpg"
FIRST = Upload(SOURCE, "0055AED6DCD90281E5", Key("library", "a/../\x00猫"), 1_700_000_000_123)


def test_unknown_object_is_none(uploads: Uploads) -> None:
    assert uploads.upload(SOURCE) is None


@pytest.mark.parametrize(
    "upload",
    [FIRST, replace(FIRST, foretold=True), Upload(SOURCE, "00")],
    ids=["made a picture", "is about to make one", "made nothing"],
)
def test_every_field_comes_back(uploads: Uploads, upload: Upload) -> None:
    uploads.save_upload(upload, None)
    assert uploads.upload(SOURCE) == upload
    assert uploads.upload(SOURCE.upper()) is None


def test_longest_object_keys_are_told_apart(uploads: Uploads) -> None:
    """A bucket's name has 63 characters at most, a key 1024 bytes (Amazon S3, "Naming Amazon S3 objects")."""
    sources = [f"{'b' * 63}/{'猫' * 341}{end}" for end in "xy"]
    for number, source in enumerate(sources):
        uploads.save_upload(Upload(source, str(number)), None)
    assert [uploads.upload(source) for source in sources] == [Upload(sources[0], "0"), Upload(sources[1], "1")]


def test_over_the_known_sequencer_all_is_replaced(uploads: Uploads) -> None:
    uploads.save_upload(FIRST, None)
    second = Upload(SOURCE, "0055AED6DCD90281E6")
    uploads.save_upload(second, FIRST.sequencer)
    assert uploads.upload(SOURCE) == second


@pytest.mark.parametrize("previous", [None, "0055AED6DCD90281E4", ""])
def test_over_another_sequencer_nothing_changes(uploads: Uploads, previous: str | None) -> None:
    uploads.save_upload(FIRST, None)
    with pytest.raises(RevisionConflict):
        uploads.save_upload(Upload(SOURCE, "0055AED6DCD90281E7"), previous)
    assert uploads.upload(SOURCE) == FIRST


def test_over_the_same_sequencer_all_is_replaced_too(uploads: Uploads) -> None:
    uploads.save_upload(replace(FIRST, foretold=True), None)
    uploads.save_upload(FIRST, FIRST.sequencer)
    assert uploads.upload(SOURCE) == FIRST


def test_change_of_an_unknown_object_is_refused(uploads: Uploads) -> None:
    with pytest.raises(RevisionConflict):
        uploads.save_upload(FIRST, "00")
    assert uploads.upload(SOURCE) is None


@pytest.mark.parametrize("previous", [None, "0"], ids=["first", "change"])
def test_one_of_many_racing_saves_wins(
    uploads: Uploads, together: Callable[[list[Callable[[], object]]], list[object]], previous: str | None
) -> None:
    if previous is not None:
        uploads.save_upload(Upload(SOURCE, previous), None)
    racing = [Upload(SOURCE, f"0{number}") for number in range(8)]
    outcomes = together([partial(uploads.save_upload, one, previous) for one in racing])
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["RevisionConflict"] * 7
    assert uploads.upload(SOURCE) == racing[outcomes.index(None)]
