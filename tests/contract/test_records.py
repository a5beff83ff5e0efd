"""What every store of records must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lookalike.domain.record import Record
from lookalike.errors import RevisionConflict
from lookalike.ports import Records


def a_record(partition: str, key: str, body: str = "{}", revision: int = 1) -> Record:
    return Record(partition, key, body, revision)


def test_what_is_unknown_is_not_there(records: Records, uid: str) -> None:
    assert records.record(uid, "a") is None
    assert list(records.records(uid, "", 10)) == []
    records.remove_records(uid, ["a"])
    records.remove_records(uid, [])
    records.save_records([])


def test_a_record_is_written_and_read_and_removed(records: Records, uid: str) -> None:
    written = a_record(uid, "a", '{"what": "日本 \\u0000 \'\\""}')
    records.put_record(written, None)
    assert records.record(uid, "a") == written
    assert records.record(f"{uid}x", "a") is None
    records.remove_records(uid, ["a", "b"])
    assert records.record(uid, "a") is None


def test_a_write_that_expects_another_revision_changes_nothing(records: Records, uid: str) -> None:
    first = a_record(uid, "a")
    with pytest.raises(RevisionConflict):
        records.put_record(first, 1)
    records.put_record(first, None)
    with pytest.raises(RevisionConflict):
        records.put_record(a_record(uid, "a", "other"), None)
    with pytest.raises(RevisionConflict):
        records.put_record(a_record(uid, "a", "other", 3), 2)
    assert records.record(uid, "a") == first
    second = a_record(uid, "a", "second", 2)
    records.put_record(second, 1)
    assert records.record(uid, "a") == second


def test_of_writers_that_race_one_succeeds(records: Records, uid: str) -> None:
    records.put_record(a_record(uid, "a"), None)

    def put(number: int) -> bool:
        try:
            records.put_record(a_record(uid, "a", str(number), 2), 1)
        except RevisionConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(8)))
    assert sum(won) == 1
    stored = records.record(uid, "a")
    assert stored is not None
    assert stored.body == str(won.index(True))


def test_pages_go_by_key(records: Records, uid: str) -> None:
    keys = [f"{number:03d}" for number in range(60)]
    records.save_records([a_record(uid, key) for key in reversed(keys)])
    records.save_records([a_record(f"{uid}-other", "000")])
    seen: list[str] = []
    while page := records.records(uid, seen[-1] if seen else "", 7):
        assert len(page) <= 7
        seen += [one.key for one in page]
    assert seen == keys


def test_saving_replaces(records: Records, uid: str) -> None:
    records.put_record(a_record(uid, "a", "old", 5), None)
    records.save_records([a_record(uid, "a", "new")])
    assert records.record(uid, "a") == a_record(uid, "a", "new")
