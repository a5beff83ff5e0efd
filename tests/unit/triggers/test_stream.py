"""The table's stream: the index ends where the catalog is, and nothing in between stops it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.domain.picture import Key, Picture
from lookalike.domain.upload import DeadLetter
from lookalike.errors import IndexWriteError, Unavailable
from lookalike.settings import Settings
from lookalike.triggers.batch import Malformed
from lookalike.triggers.stream import answer, changes
from tests.contract.rows import deleted, row
from tests.support.examples import examples
from tests.support.fakes import MemoryDeadLetters, MemoryIndex, memory_ports

NOTHING: dict[str, Any] = {"batchItemFailures": []}


class Table:
    """Images of rows, and what reads them: the row itself stands for its image."""

    def __init__(self, *rows: Picture) -> None:
        self.rows = rows

    def read(self, image: Mapping[str, Any]) -> Picture | None:
        if "other" in image:
            return None
        return self.rows[int(image["row"]["N"])]

    def event(self) -> dict[str, Any]:
        return {"Records": [record(number) for number in range(len(self.rows))]}


def record(number: int, name: str = "MODIFY", **image: Any) -> dict[str, Any]:
    """A record of the stream, the one of that number."""
    stream = {
        "Keys": {"pk": {"S": f"P#{number}"}},
        "NewImage": image or {"row": {"N": str(number)}},
        "SequenceNumber": sequence(number),
    }
    return {"eventID": str(number), "eventName": name, "dynamodb": stream}


def sequence(number: int) -> str:
    """Sequence numbers grow in length too, so as text they would be in another order."""
    return str(99_999_999_998 + number)


class Refusing(MemoryIndex):
    """Does not take some rows: for now, for good, or not at all at once."""

    def __init__(self, again: Sequence[str] = (), refused: Sequence[str] = (), broken: Sequence[str] = ()) -> None:
        super().__init__()
        self.again, self.refused, self.broken = set(again), set(refused), set(broken)
        self.calls: list[list[str]] = []
        self.waited = False

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        self.calls.append([picture.key.id for picture in pictures])
        self.waited |= wait
        if any(picture.key.id in self.broken for picture in pictures):
            raise ValueError("a fault of ours")
        bad = self.again | self.refused
        super().write([picture for picture in pictures if picture.key.id not in bad], wait=wait)
        again = frozenset(picture.key for picture in pictures if picture.key.id in self.again)
        refused = {picture.key: "mapper_parsing_exception" for picture in pictures if picture.key.id in self.refused}
        if again or refused:
            raise IndexWriteError(again, refused)


class Down(MemoryIndex):
    """Does not answer."""

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        raise Unavailable("no answer")

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        raise Unavailable("no answer")


def run(table: Table, index: MemoryIndex, letters: MemoryDeadLetters | None = None) -> dict[str, Any]:
    letters = letters or MemoryDeadLetters()
    return answer(memory_ports(index=index, dead_letters=letters), table.event(), table.read)


def test_rows_are_brought_to_the_index_without_waiting() -> None:
    index = Refusing()
    assert run(Table(row("l", "a"), row("l", "b")), index) == NOTHING
    assert set(index.rows) == {Key("l", "a"), Key("l", "b")}
    assert not index.waited


def test_of_each_picture_only_its_newest_row_is_written() -> None:
    index = Refusing()
    first = row("l", "a", 1)
    assert run(Table(first, row("l", "b"), first.but(revision=3), deleted(first, 2)), index) == NOTHING
    assert index.calls == [["a", "b"]]
    assert index.rows[Key("l", "a")].revision == 3


def removal(number: int) -> dict[str, Any]:
    """A record of the stream: the row of that number was removed."""
    made = record(number, "REMOVE")
    made["dynamodb"]["OldImage"] = made["dynamodb"].pop("NewImage")
    return made


@pytest.mark.parametrize("batches", [[[0, 1, 2]], [[0], [1], [2]], [[0, 1], [2]], [[0, 1, 2], [0, 1, 2]]])
def test_a_row_that_is_removed_leaves_the_index_however_late_its_records_come(batches: list[list[int]]) -> None:
    """A group was removed and swept while the stream was behind: what is written late was found by every check, for ever."""
    first, index = row("l", "a", 1), MemoryIndex()
    table, other = Table(first, deleted(first, 2), first.but(revision=3), row("l", "b")), row("l", "b")
    index.write([other])
    records = [record(0), record(1), removal(1)]
    for batch in batches:
        event = {"Records": [records[number] for number in batch]}
        assert answer(memory_ports(index=index), event, table.read) == NOTHING
    assert list(index.rows) == [other.key]


@pytest.mark.parametrize("together", [True, False])
def test_a_removal_that_comes_late_leaves_a_newer_row(*, together: bool) -> None:
    old, new, index = row("l", "a", 1), row("l", "a", 5), MemoryIndex()
    records = [removal(0), record(1)]
    for event in [records] if together else [[records[1]], records[:1], records[1:]]:
        assert answer(memory_ports(index=index), {"Records": event}, Table(old, new).read) == NOTHING
    assert index.rows[old.key].revision == 5


def test_a_removal_that_the_index_does_not_take_comes_again() -> None:
    table, down = Table(row("l", "a"), row("l", "b")), Down()
    event = {"Records": [removal(0), record(1)]}
    assert answer(memory_ports(index=down), event, table.read)["batchItemFailures"] == [{"itemIdentifier": sequence(0)}]


def test_what_was_removed_unread_and_what_is_no_picture_is_nothing() -> None:
    index = Refusing()
    unread = removal(0)
    unread["dynamodb"]["OldImage"] = {"row": {"N": "damaged"}}
    event = {"Records": [record(0, "REMOVE"), unread, record(0, "INSERT", other={"S": "APP#x"})]}
    letters = MemoryDeadLetters()
    assert answer(memory_ports(index=index, dead_letters=letters), event, Table(row("l", "a")).read) == NOTHING
    assert (index.calls, letters.letters) == ([], [])


@pytest.mark.parametrize("number", ["000000000000000000000001", "49" * 20, "0"])
def test_a_record_is_named_as_it_came(number: str) -> None:
    """Sequence numbers are text: Lambda takes a name that it has not given for none, and the whole batch comes again."""
    event = {"Records": [record(0)]}
    event["Records"][0]["dynamodb"]["SequenceNumber"] = number
    ports = memory_ports(index=Down())
    answered = answer(ports, event, Table(row("l", "a")).read)
    assert answered == {"batchItemFailures": [{"itemIdentifier": number}]}


def test_a_record_without_a_name_that_cannot_be_buried_brings_the_whole_batch_again() -> None:
    event = {"Records": [{"eventName": "MODIFY", "dynamodb": {}}, record(0)]}
    answered = answer(memory_ports(dead_letters=Full()), event, Table(row("l", "a")).read)
    assert answered == {"batchItemFailures": [{"itemIdentifier": ""}]}


def test_an_index_that_does_not_answer_gets_everything_again() -> None:
    assert run(Table(row("l", "a"), row("l", "b")), Down()) == {"batchItemFailures": [{"itemIdentifier": sequence(0)}]}


def test_the_first_record_that_has_to_come_again_is_named() -> None:
    rows = [row("l", name, number) for number, name in enumerate("abcbd", 1)]
    assert run(Table(*rows), Refusing(again="bd")) == {"batchItemFailures": [{"itemIdentifier": sequence(1)}]}
    assert run(Table(*rows), Refusing(again="d")) == {"batchItemFailures": [{"itemIdentifier": sequence(4)}]}


def test_what_the_index_refuses_for_good_is_a_dead_letter_and_done() -> None:
    letters, index = MemoryDeadLetters(), Refusing(refused="b")
    assert run(Table(row("l", "a"), row("l", "b"), row("l", "c")), index, letters) == NOTHING
    (letter,) = letters.letters
    assert (letter.operation, letter.reason) == ("index", "mapper_parsing_exception")
    assert json.loads(letter.body) == {"Keys": {"pk": {"S": "P#1"}}, "SequenceNumber": sequence(1)}
    assert {key.id for key in index.rows} == {"a", "c"}


def test_a_dead_row_that_comes_again_anyway_is_buried_then() -> None:
    letters, index = MemoryDeadLetters(), Refusing(refused="bd", again="c")
    table = Table(*(row("l", name) for name in "abcd"))
    assert run(table, index, letters) == {"batchItemFailures": [{"itemIdentifier": sequence(2)}]}
    assert len(letters.letters) == 1
    index.again.clear()
    rest = {"Records": table.event()["Records"][2:]}
    assert answer(memory_ports(index=index, dead_letters=letters), rest, table.read) == NOTHING
    assert len(letters.letters) == 2
    assert {key.id for key in index.rows} == {"a", "c"}


def test_a_row_that_our_own_code_fails_on_stops_nobody() -> None:
    letters, index = MemoryDeadLetters(), Refusing(broken="b", again="c")
    assert run(Table(*(row("l", name) for name in "abcd")), index, letters) == {
        "batchItemFailures": [{"itemIdentifier": sequence(2)}]
    }
    assert [letter.reason for letter in letters.letters] == ["ValueError('a fault of ours')"]
    assert {key.id for key in index.rows} == {"a", "d"}


def test_an_index_that_every_row_breaks_is_not_the_rows_fault() -> None:
    letters = MemoryDeadLetters()
    for names in ("ab", "a"):
        table = Table(*(row("l", name) for name in names))
        assert run(table, Refusing(broken="ab"), letters) == {"batchItemFailures": [{"itemIdentifier": sequence(0)}]}
    assert letters.letters == []


class Full(MemoryDeadLetters):
    """Takes no letters."""

    def send(self, letter: DeadLetter) -> None:
        raise Unavailable("no answer")


def test_what_cannot_be_buried_comes_again() -> None:
    assert run(Table(row("l", "a"), row("l", "b")), Refusing(refused="b"), Full()) == {
        "batchItemFailures": [{"itemIdentifier": sequence(1)}]
    }


@pytest.mark.parametrize(
    "spoilt",
    [
        None,
        7,
        [],
        {},
        {"eventName": "MODIFY"},
        {"eventName": "MODIFY", "dynamodb": None},
        {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "x", "NewImage": {"row": {"N": "0"}}}},
        {"eventName": "MODIFY", "dynamodb": {"NewImage": {"row": {"N": "0"}}}},
        {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": 1, "NewImage": {"row": {"N": "0"}}}},
        {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "", "NewImage": {"row": {"N": "0"}}}},
        {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "-1", "NewImage": {"row": {"N": "0"}}}},
        {"dynamodb": {"SequenceNumber": "1", "NewImage": {"row": {"N": "0"}}}},
        {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "1"}},
        {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "1", "NewImage": {"row": {"N": "x"}}}},
        {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": 7}},
    ],
)
def test_a_garbled_record_is_a_dead_letter_and_stops_nobody(spoilt: Any) -> None:
    letters, index = MemoryDeadLetters(), Refusing()
    event = {"Records": [spoilt, record(0)]}
    assert answer(memory_ports(index=index, dead_letters=letters), event, Table(row("l", "a")).read) == NOTHING
    assert len(letters.letters) == 1
    assert len(index.rows) == 1


@pytest.mark.parametrize("event", [None, 7, [], {}, {"Records": None}, {"Records": {}}])
def test_an_event_of_anything_else_is_a_dead_letter(event: Any) -> None:
    letters = MemoryDeadLetters()
    assert answer(memory_ports(dead_letters=letters), event, Table().read) == NOTHING
    assert [letter.reason for letter in letters.letters] == ["no event of a stream"]


def test_an_empty_event_is_nothing() -> None:
    letters = MemoryDeadLetters()
    assert answer(memory_ports(dead_letters=letters), {"Records": []}, Table().read) == NOTHING
    assert letters.letters == []


def test_a_dead_letter_holds_no_more_of_a_row_than_where_it_is() -> None:
    event = {"Records": [record(0, secret={"S": "top secret"})]}
    (change,) = changes(event, Table().read)
    assert isinstance(change.row, Malformed)
    assert "secret" not in change.body


@settings(max_examples=examples(100))
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 5)), max_size=12),
    st.sets(st.sampled_from("abcd")),
    st.sets(st.sampled_from("abcd")),
)
def test_replayed_until_done_the_index_is_where_the_catalog_is(
    written: list[tuple[str, int]], again: set[str], refused: set[str]
) -> None:
    """Each time the batch comes again, from the record named on, one more of the rows is taken."""
    table = Table(*(row("l", name, revision) for name, revision in written))
    letters, index = MemoryDeadLetters(), Refusing(again=sorted(again), refused=sorted(refused - again))
    ports = memory_ports(index=index, dead_letters=letters)
    records = table.event()["Records"]
    for _ in range(6):
        failed = answer(ports, {"Records": records}, table.read)["batchItemFailures"]
        if not failed:
            break
        (first,) = failed
        numbers = [one["dynamodb"]["SequenceNumber"] for one in records]
        records = records[numbers.index(first["itemIdentifier"]) :]
        index.again.discard(min(index.again))
    assert failed == []
    newest = {name: max(revision for other, revision in written if other == name) for name, _ in written}
    taken = {name: revision for name, revision in newest.items() if name not in index.refused}
    assert {key.id: one.revision for key, one in index.rows.items()} == taken
    dead = sum(name in index.refused for name, _ in written)
    assert len(letters.letters) == dead


def test_rows_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(*(row("l", name) for name in "abc"))
    ports = memory_ports(index=Refusing(again="c", refused="a"), settings=Settings(metrics=True))
    answer(ports, table.event(), table.read)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (counted,) = [line for line in lines if "Rows" in line]
    assert (counted["operation"], counted["Rows"], counted["Again"], counted["Refused"]) == ("index", [3], [1], [1])
    assert [(line["trigger"], line["Failures"]) for line in lines if "Failures" in line] == [("index", [1])]
