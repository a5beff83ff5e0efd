"""Imports by both roads: every row has one outcome, nothing is added twice, nothing is missed."""

from __future__ import annotations

import base64
import csv
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, source_key
from lookalike.errors import InvalidArgument, Unavailable, UrlUnreachable
from lookalike.ports import Ports
from lookalike.service.libraries import set_capacity
from lookalike.transfer.api_target import ApiTarget
from lookalike.transfer.columns import Columns
from lookalike.transfer.journal import Entry
from lookalike.transfer.outcomes import Outcome
from lookalike.transfer.sources import open_source
from lookalike.transfer.target import OnDuplicate, Target, TargetError, Wanted, Work
from tests.conftest import ALICE
from tests.support.baidu import picture
from tests.support.fakes import MemoryWeb
from tests.support.transfers import HandlersClient, Importer


@pytest.fixture(params=["stores", "api"])
def importer(request: pytest.FixtureRequest, memory: Ports) -> Importer:
    return Importer(memory, ALICE, by_api=request.param == "api")


def library_rows(memory: Ports, name: str) -> Mapping[str, str]:
    """The briefs of what a library holds, by id."""
    library = memory.catalog.library(ALICE.tenant, name)
    assert library is not None
    return {row.key.id: row.metadata.brief for row in memory.catalog.pictures(library.uid, None, 1000) if row.live}


def table(folder: Path, text: str, name: str = "t.csv") -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(1, 6):
        (folder / f"{number}.png").write_bytes(picture(number))
    (folder / name).write_text(text)
    return folder / name


def test_a_folder_goes_in_and_a_second_run_does_nothing(importer: Importer, memory: Ports, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    table(folder, "no picture", "broken.jpg")
    lines = importer.run(folder, "shop")
    assert lines[:5] == [("added", "", f"{number}.png") for number in range(1, 6)]
    assert lines[5][:2] == ("refused", "not one of BMP, GIF, JPEG, PNG, WEBP")
    rows = dict(memory.catalog.rows)  # type: ignore[attr-defined]
    assert importer.run(folder, "shop") == lines
    assert dict(memory.catalog.rows) == rows  # type: ignore[attr-defined]
    library = memory.catalog.library(ALICE.tenant, "shop")
    assert library is not None
    assert library.kind is Kind.SAME


def test_a_table_with_all_that_can_be_wrong(importer: Importer, memory: Ports, web: MemoryWeb, tmp_path: Path) -> None:
    web.answers["http://pictures/9.png"] = picture(9)
    encoded = base64.b64encode(picture(10)).decode()
    said = f"""id,file,url,base64,brief,tags
a,1.png,,,one,"x,y"
b,none.png,,,two,
a,2.png,,,again,
c,,http://pictures/9.png,,nine,
d,,http://pictures/none.png,,ten,
e,,,{encoded},eleven,
f,,ftp://pictures/x,,twelve,
g,5.png,,,{"x" * 300},
,3.png,,,no id,
h,,,,nothing,
i,.,,,a folder,
"""
    lines = importer.run(table(tmp_path / "t", said), "shop")
    assert [line[0] for line in lines] == [
        "added", "refused", "refused", "added", "failed", "added", "refused", "refused", "added", "refused", "refused",
    ]  # fmt: skip
    assert [lines[number][1] for number in (1, 2, 9, 10)] == [
        "there is no such file",
        "row 1 has its id, too",
        "names no file or URL",
        "is a folder",
    ]
    assert "300 bytes, more than 256" in lines[7][1]
    assert library_rows(memory, "shop") == {"a": "one", "c": "nine", "e": "eleven", "3.png": "no id"}


def test_only_what_failed_or_changed_is_done_again(
    importer: Importer, memory: Ports, web: MemoryWeb, tmp_path: Path
) -> None:
    source = table(tmp_path / "t", "id,file,url\na,1.png,\nb,none.png,\nc,,http://pictures/9.png\n")
    web.answers["http://pictures/9.png"] = UrlUnreachable("nobody")
    assert [line[0] for line in importer.run(source, "shop")] == ["added", "refused", "failed"]
    web.answers["http://pictures/9.png"] = picture(9)
    (source.parent / "none.png").write_bytes(picture(8))
    source.write_text("id,file,url\nnew,2.png,\n" + "\n".join(source.read_text().splitlines()[1:]) + "\n")
    assert importer.run(source, "shop") == [("added", "", one) for one in ("new", "a", "b", "c")]
    assert [*library_rows(memory, "shop")] == ["a", "b", "c", "new"]
    os.utime(source.parent / "1.png", ns=(1, 1))
    (source.parent / "2.png").write_bytes(picture(7))
    lines = importer.run(source, "shop")
    assert lines[0] == ("refused", "the library holds another picture as new", "new")
    assert lines[1] == ("same", "the library holds it as a", "a")


def test_what_a_killed_run_has_added_is_not_added_again(importer: Importer, memory: Ports, tmp_path: Path) -> None:
    source = table(tmp_path / "t", "id,file\na,1.png\nb,2.png\n")
    target = importer.target(Wanted("shop"))
    put = type(target).put

    def killed(self: Target, works: object) -> object:
        for _ in put(self, works):  # type: ignore[arg-type]
            raise KeyboardInterrupt
        return ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(target), "put", killed)
        with pytest.raises(KeyboardInterrupt):
            importer.run(source, "shop")
    before = library_rows(memory, "shop")
    assert before
    assert importer.run(source, "shop") == [("added", "", "a"), ("added", "", "b")]
    assert library_rows(memory, "shop") == {"a": "", "b": ""}


@pytest.mark.parametrize(
    ("choice", "outcome", "brief"),
    [
        (OnDuplicate.RETURN, "same", "old"),
        (OnDuplicate.UPDATE, "updated", "new"),
        (OnDuplicate.REFUSE, "refused", "old"),
    ],
)
def test_pictures_that_are_there(
    importer: Importer, memory: Ports, tmp_path: Path, choice: OnDuplicate, outcome: str, brief: str
) -> None:
    importer.run(table(tmp_path / "a", "id,file,brief,label\na,1.png,old,5\n"), "shop")
    source = table(tmp_path / "b", "id,file,brief,label\na,1.png,new,5\na2,1.png,twin,\n")
    lines = importer.run(source, "shop", on_duplicate=choice)
    assert [line[0] for line in lines] == [outcome, "added"]
    assert library_rows(memory, "shop") == {"a": brief, "a2": "twin"}
    source.with_name("t.csv.journal").unlink()
    again = importer.run(source, "shop", on_duplicate=choice)
    assert again[0][0] == {"updated": "same"}.get(outcome, outcome)


def test_a_vendor_s_library_whose_pictures_are_their_own_ids(importer: Importer, memory: Ports, tmp_path: Path) -> None:
    source = table(tmp_path / "t", "id,file,brief,tags\n5,1.png,one,7\n6,1.png,two,\n7,2.png,three,x\n")
    lines = importer.run(source, "same_hq")
    assert sorted(line[0] for line in lines[:2]) == ["added", "same"]
    assert lines[0][2] == lines[1][2] != ""
    assert lines[2][0] == "refused"
    assert len(library_rows(memory, "same_hq")) == 1
    with (tmp_path / "t/report.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["given"] for row in csv.DictReader(file)] == ["5", "6", "7"]


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("library", ["shop", "same_hq"])
def test_a_row_that_is_refused_has_no_claim_to_its_id_or_sign(
    importer: Importer, tmp_path: Path, library: str, dry: bool
) -> None:
    names = ["a", "b"] if library == "shop" else ['"1,2"', '"3,4"']
    rows = [(0, "none.png"), (1, "1.png"), (0, "2.png"), (0, "3.png"), (0, "2.png"), (1, "4.png")]
    said = "".join(f"{names[name]},{file},x\n" for name, file in rows)
    header = "id,file,brief\n" if library == "shop" else "sign,file,brief\n"
    lines = importer.run(table(tmp_path / "t", header + said), library, dry=dry)
    word, again = ("id", "refused") if library == "shop" else ("sign", "same")
    assert [line[0] for line in lines] == ["refused", "added", "added", "refused", again, "refused"]
    assert [lines[number][1] for number in (0, 3, 5)] == [
        "there is no such file", f"row 3 has its {word}, too", f"row 2 has its {word}, too",
    ]  # fmt: skip


def test_a_row_waits_for_its_twin(importer: Importer, memory: Ports, web: MemoryWeb, tmp_path: Path) -> None:
    """It takes no id from a row that may still come in, and it has it once that row is gone from the table."""
    source = table(tmp_path / "t", "id,url,file\na,http://pictures/9.png,\na,,1.png\n")
    web.answers["http://pictures/9.png"] = UrlUnreachable("nobody")
    lines = importer.run(source, "shop")
    assert [line[:2] for line in lines][1] == ("failed", "row 1 has its id, too, and is not done yet")
    web.answers["http://pictures/9.png"] = picture(9)
    lines = importer.run(source, "shop")
    assert lines == [("added", "", "a"), ("refused", "row 1 has its id, too", "")]
    source.write_text("id,url,file\nb,http://pictures/9.png,\na,,1.png\n")
    assert [line[0] for line in importer.run(source, "shop")] == ["added", "refused"], "a library holds a still"
    source.write_text("id,file\nc,1.png\nc,2.png\n")
    assert [line[0] for line in importer.run(source, "shop")] == ["added", "refused"]
    source.write_text("id,file\nd,1.png\nc,2.png\n")
    assert importer.run(source, "shop")[1] == ("refused", "the library holds another picture as c", "c")


def test_a_trial_asks_the_server_for_pictures_by_url(importer: Importer, web: MemoryWeb, tmp_path: Path) -> None:
    web.answers |= {"http://pictures/7.png": picture(7), "http://pictures/8.png": picture(8)}
    web.answers["http://pictures/9.png"] = UrlUnreachable("nobody")
    web.answers["http://pictures/x.png"] = b"no picture"
    source = table(tmp_path / "t", "url,brief\nhttp://pictures/7.png,one\n")
    importer.run(source, "same_hq")
    names = ["7", "8", "9", "x", "8"]
    source.write_text("url,brief\n" + "".join(f"http://pictures/{name}.png,two\n" for name in names))
    tried = importer.run(source, "same_hq", dry=True)
    done = importer.run(source, "same_hq")
    assert sorted(line[0] for line in tried) == sorted(line[0] for line in done)
    assert [done[number][0] for number in (0, 2, 3)] == ["same", "failed", "refused"]
    assert [tried[number][:2] for number in (0, 2, 3)] == [done[number][:2] for number in (0, 2, 3)]


def test_a_trial_changes_nothing(importer: Importer, memory: Ports, tmp_path: Path) -> None:
    source = table(tmp_path / "t", "id,file\na,1.png\nb,none.png\nc,broken.png\n")
    (source.parent / "broken.png").write_bytes(picture(1)[:60])
    expected = ["added", "refused", "refused"]
    assert [line[0] for line in importer.run(source, "shop", dry=True)] == expected
    assert memory.catalog.libraries(ALICE.tenant) == []
    importer.run(source, "shop")
    assert [line[0] for line in importer.run(source, "shop", dry=True)] == ["same", "refused", "refused"]
    assert not list(tmp_path.glob("**/*.lookalike-journal"))


def test_a_trial_refuses_what_the_import_refuses(importer: Importer, memory: Ports, tmp_path: Path) -> None:
    said = f"""id,file,brief,tags,label,desc
{"i" * 513},1.png,,,,
a,1.png,{"b" * 257},,,
b,1.png,,{"t" * 200},,
c,1.png,,,{"l" * 70000},
d,1.png,,,,{"d" * 70000}
e,1.png,{"b" * 256},t,l,d
"""
    source = table(tmp_path / "t", said)
    tried = importer.run(source, "shop", dry=True)
    assert [line[0] for line in tried] == ["refused"] * 5 + ["added"]
    done = importer.run(source, "shop")
    assert [line[:2] for line in done] == [line[:2] for line in tried]


def test_an_original_that_is_lost_is_stored_again(importer: Importer, memory: Ports, tmp_path: Path) -> None:
    """All that is said of the picture stays, and so does its row."""
    source = table(tmp_path / "t", "id,file,brief,tags\na,1.png,one,x\nb,2.png,two,\n")
    importer.run(source, "shop")
    rows, files = dict(memory.catalog.rows), memory.originals.files  # type: ignore[attr-defined]
    key = next(row.object_key for row in rows.values() if row.key.id == "a")
    for lost in (None, picture(1)[:-1]):
        files.pop(key) if lost is None else files.update({key: lost})
        source.with_name("t.csv.journal").unlink()
        lines = importer.run(source, "shop")
        assert lines == [
            ("repaired", "its original was lost, and is stored again", "a"),
            ("same", "the library holds it as b", "b"),
        ]
        assert files[key] == picture(1)
        assert dict(memory.catalog.rows) == rows  # type: ignore[attr-defined]
    del files[key]
    source.with_name("t.csv.journal").unlink()
    source.write_text("id,file,brief\na,1.png,new\n")
    ((outcome, reason, _),) = importer.run(source, "shop", on_duplicate=OnDuplicate.UPDATE)
    assert (outcome, reason) == ("updated", "its original was lost, and is stored again")


def test_what_could_not_be_said_of_a_picture_is_said_by_the_next_run(
    importer: Importer, memory: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importer.run(table(tmp_path / "a", "id,file,brief\na,1.png,old\n"), "shop")
    source = table(tmp_path / "b", "id,file,brief\na,1.png,new\n")

    def away(*_: object) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(memory.catalog, "put", away)
        with suppress(AssertionError, TargetError):
            importer.run(source, "shop", on_duplicate=OnDuplicate.UPDATE)
    assert library_rows(memory, "shop") == {"a": "old"}
    assert importer.run(source, "shop", on_duplicate=OnDuplicate.UPDATE) == [("updated", "", "a")]
    assert library_rows(memory, "shop") == {"a": "new"}


def test_a_url_in_the_column_of_files_is_a_url(importer: Importer, web: MemoryWeb, tmp_path: Path) -> None:
    web.answers["HTTP://pictures/9.png"] = picture(9)
    assert importer.run(table(tmp_path / "t", "id,file\na,HTTP://pictures/9.png\nb,1.png\n"), "shop") == [
        ("added", "", "a"),
        ("added", "", "b"),
    ]


def test_another_kind_or_name_is_one_clear_error(importer: Importer, tmp_path: Path) -> None:
    importer.run(table(tmp_path / "t", "file\n1.png\n"), "shop")
    with pytest.raises(InvalidArgument, match="--kind: the library shop is there, and its kind is same"):
        importer.target(Wanted("shop", Kind.PRODUCT))
    with pytest.raises(InvalidArgument, match="letters, digits"):
        importer.target(Wanted("a b"))


def test_a_full_library_ends_the_import_and_more_room_goes_on(
    importer: Importer, memory: Ports, tmp_path: Path
) -> None:
    folder = tmp_path / "p"
    table(folder, "", "note.txt")
    importer.target(Wanted("shop"))
    set_capacity(memory, ALICE.tenant, "shop", 2)
    with pytest.raises(AssertionError, match="the library shop holds as many pictures as it may"):
        importer.run(folder, "shop")
    assert len(library_rows(memory, "shop")) == 2
    set_capacity(memory, ALICE.tenant, "shop", 9)
    assert {line[0] for line in importer.run(folder, "shop")} == {"added"}


def test_a_store_that_is_away_ends_the_import(
    importer: Importer, memory: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.png").write_bytes(picture(number))
    importer.target(Wanted("shop"))

    def away(*_: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(memory.catalog, "put", away)
        with pytest.raises(AssertionError, match="10 rows in a row have failed"):
            importer.run(folder, "shop")
    assert {line[0] for line in importer.run(folder, "shop")} == {"added"}
    assert len(library_rows(memory, "shop")) == 40


def test_what_a_folder_held_too_large_is_made_to_fit_and_kept(memory: Ports, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    large = picture(1, size=(5200, 40))
    (folder / "large.png").write_bytes(large)
    importer = Importer(memory, ALICE, by_api=False)
    assert importer.run(folder, "shop") == [("added", "", "large.png")]
    library = memory.catalog.library(ALICE.tenant, "shop")
    assert library is not None
    row = memory.catalog.picture(Key(library.uid, "large.png"))
    assert row is not None
    assert memory.originals.get(source_key(row.object_key)) == large
    assert memory.originals.get(row.object_key) != large
    folder.joinpath("large.png.json").write_text(json.dumps({"brief": "said"}))
    assert importer.run(folder, "shop", on_duplicate=OnDuplicate.UPDATE) == [("updated", "", "large.png")]


def test_a_picture_that_the_library_loses_is_said(
    importer: Importer, memory: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = table(tmp_path / "t", "id,file\na,1.png\n")
    holds: Callable[..., bool] = lambda *_: False  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(type(importer.target(Wanted("shop"))), "holds", holds)
        with pytest.raises(AssertionError):
            importer.run(source, "shop")
    assert importer.run(source, "shop") == [("added", "", "a")]


# -- Files that lie elsewhere ------------------------------------------------------------------------------------------


def test_a_table_s_files_lie_in_its_folder(importer: Importer, tmp_path: Path) -> None:
    """Whoever wrote the table has no say in what else of this machine's is read."""
    (tmp_path / "secret.png").write_bytes(picture(9))
    source = table(tmp_path / "t", "")
    (source.parent / "link.png").symlink_to(tmp_path / "secret.png")
    (source.parent / "inner.png").symlink_to("1.png")
    (source.parent / "folder").symlink_to(tmp_path)
    (source.parent / "loop.png").symlink_to("loop.png")
    os.mkfifo(source.parent / "pipe.png")
    names = ["../secret.png", f"{tmp_path}/secret.png", "link.png", "folder/secret.png", "../../../../../../etc/passwd"]
    good = ["./2.png", "folder/t/3.png", f"{source.parent}/4.png", "inner.png", "../t/5.png"]
    source.write_text("file,id\n" + "".join(f"{name},{n}\n" for n, name in enumerate([*names, *good])) + "pipe.png,p\n")
    outside = f"lies outside of {source.parent}; --root says where files may lie"
    tried = importer.run(source, "shop", dry=True)
    lines = importer.run(source, "shop")
    assert lines[:5] == tried[:5] == [("refused", outside, "")] * 5
    assert [line[0] for line in lines[5:10]] == ["added"] * 5
    assert lines[10][:2] == ("refused", "is no file of a disk")
    again = importer.run(source, "shop", root=tmp_path)
    assert [line[0] for line in again[:4]] == ["added"] * 4
    assert again[4] == ("refused", f"lies outside of {tmp_path}; --root says where files may lie", "")
    assert again[5:] == lines[5:]


def test_a_folder_s_links_lead_to_its_own_files(importer: Importer, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for name in ("a.png", "a.png.json"):
        (tmp_path / name).write_bytes(picture(1) if name == "a.png" else b'{"brief": "secret"}')
        (folder / name).symlink_to(tmp_path / name)
    (folder / "b.png").write_bytes(picture(2))
    (folder / "b.png.json").symlink_to(tmp_path / "a.png.json")
    os.mkfifo(folder / "pipe")
    lines = importer.run(folder, "shop")
    assert [line[0] for line in lines] == ["refused", "refused"]
    assert all("outside of" in line[1] for line in lines)
    assert [line[0] for line in importer.run(folder, "shop", root=tmp_path)] == ["added", "added"]


# -- Files that are too large for a call -------------------------------------------------------------------------------


def large(path: Path, side: int) -> bytes:
    noise = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(path, compress_level=0)
    return path.read_bytes()


def test_by_the_api_a_large_file_is_sent_ahead_and_stored_as_it_came(memory: Ports, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    files = {"a.png": picture(1), "b.png": large(folder / "b.png", 1200), "c.png": picture(2)}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    importer = Importer(memory, ALICE, by_api=True)
    assert [line[0] for line in importer.run(folder, "shop", dry=True)] == ["added"] * 3
    assert [line[0] for line in importer.run(folder, "shop")] == ["added"] * 3
    library = memory.catalog.library(ALICE.tenant, "shop")
    assert library is not None
    for name, data in files.items():
        row = memory.catalog.picture(Key(library.uid, name))
        assert row is not None
        assert memory.originals.get(row.object_key) == data, name
    (folder.with_name("p.journal")).unlink()
    assert [line[0] for line in importer.run(folder, "shop")] == ["same"] * 3


def test_a_large_file_whose_upload_was_used_is_sent_once_more(memory: Ports, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    large(folder / "b.png", 1200)
    client = HandlersClient(ALICE, memory)
    client.forgetting = True
    target = ApiTarget(client, Wanted("shop"))
    (row,) = open_source(folder, Columns()).rows()
    ((_, result),) = target.put([Work(row, Entry("key", row.stamp(), begun=False, twin=None))])
    assert (result.outcome, len(client.sent)) == (Outcome.ADDED, 2)
