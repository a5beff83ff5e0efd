"""Pictures that come from Baidu or Jumdata are called what they were called there, in every answer of those dialects."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lookalike.domain.library import Kind, Library, LibraryRef
from lookalike.domain.picture import Key, digest_prefix, sign_of
from lookalike.ports import Ports
from lookalike.service.purge import purge
from lookalike.service.restore import restore
from lookalike.service.update import Update, update
from lookalike.transfer.outcomes import Outcome
from lookalike.transfer.target import OnDuplicate
from tests.conftest import ALICE, BOB
from tests.support import baidu
from tests.support.archives import exported, put_back
from tests.support.baidu import Caller
from tests.support.fakes import SetClock, memory_ports
from tests.support.jumdata import Client
from tests.support.native import NativeCaller, image
from tests.support.transfers import Importer

OLD, OTHER = "123456789,987654321", "11,22"
HERE, VENDOR = NativeCaller(ALICE), Caller(ALICE)

Import = Callable[..., list[tuple[str, ...]]]


def picture(number: int) -> bytes:
    """A picture as large as the vendor asks for."""
    return baidu.picture(number, size=(64, 48))


@pytest.fixture(params=[False, True], ids=["stores", "api"])
def imported(request: pytest.FixtureRequest, memory: Ports, tmp_path: Path) -> Import:
    """Imports pictures by number, with their signs, into ``similar``; returns the report."""

    def run(
        *rows: tuple[int, str],
        name: str = "t.csv",
        mapped: str = "sign=cont_sign",
        into: str = "similar",
        on_duplicate: OnDuplicate = OnDuplicate.RETURN,
        dry: bool = False,
    ) -> list[tuple[str, ...]]:
        for number, _ in rows:
            (tmp_path / f"{number}.png").write_bytes(picture(number))
        lines = [f'{number}.png,"{sign}",brief {number}\n' for number, sign in rows]
        (tmp_path / name).write_text("file,cont_sign,brief\n" + "".join(lines))
        importer = Importer(memory, ALICE, by_api=request.param)
        return importer.run(tmp_path / name, into, mapped, on_duplicate=on_duplicate, dry=dry)

    return run


def library(ports: Ports) -> Library:
    found = ports.catalog.library(ALICE.tenant, "similar")
    assert found is not None
    return found


def told(number: int, name: str = "similar") -> str:
    """What a search for a picture calls the first one that it finds."""
    return str(VENDOR.call(name, "search", image=picture(number))["result"][0]["cont_sign"])


def test_a_picture_goes_by_its_old_sign_for_life(memory: Ports, imported: Import, clock: SetClock) -> None:
    (line,) = imported((0, OLD))
    own = line[2]
    assert line == ("added", "", own)
    assert own != OLD
    assert told(0) == OLD
    assert VENDOR.call("similar", "add", image=picture(0), brief="again")["error_code"] == 216681
    for sign in (OLD, own):
        assert "error_code" not in VENDOR.call("similar", "update", cont_sign=sign, brief=f"by {sign}", tags="7")
        (found,) = VENDOR.call("similar", "search", image=picture(0))["result"]
        assert (found["cont_sign"], found["brief"]) == (OLD, f"by {sign}")
    assert "error_code" not in VENDOR.call("similar", "delete", cont_sign=OLD)
    restore(memory, library(memory), OLD)
    assert told(0) == OLD
    assert "error_code" not in VENDOR.call("similar", "delete", cont_sign=own)
    assert VENDOR.call("similar", "delete", cont_sign=OLD)["error_code"] == 216680
    assert VENDOR.add("similar", picture(0)) == OLD, "it waited for purge"
    VENDOR.call("similar", "delete", cont_sign=OLD)
    clock.now += 30 * 24 * 3_600_000
    assert purge(memory, lambda: True).pictures == 1
    assert VENDOR.add("similar", picture(0)) == OLD, "it was purged"
    assert told(0) == OLD
    assert "error_code" not in VENDOR.call("similar", "update", cont_sign=OLD, brief="changed")


def test_this_api_has_both_signs(memory: Ports, imported: Import) -> None:
    own = imported((0, OLD), (1, ""))[0][2]
    path = f"/libraries/similar/pictures/{own}"
    shown = HERE.call("GET", path).json
    assert (shown["id"], shown["cont_sign"], shown["old_cont_sign"]) == (own, own, OLD)
    assert HERE.call("GET", f"/libraries/similar/pictures/{OLD}").json == shown
    image = {"image": {"base64": base64.b64encode(picture(0)).decode()}}
    for answered in (
        HERE.call("POST", "/libraries/similar/search", image),
        HERE.call("POST", "/search", {**image, "libraries": ["similar"]}),
    ):
        first, second = answered.json["matches"]
        assert (first["id"], first["cont_sign"], first["old_cont_sign"]) == (own, own, OLD)
        assert "old_cont_sign" not in second
    changed = HERE.call("PATCH", path, {"brief": "b"}).json
    assert changed["old_cont_sign"] == OLD
    assert HERE.call("PATCH", path, {"old_cont_sign": OTHER}).json["old_cont_sign"] == OTHER
    assert told(0) == OTHER
    for sign in (OLD, OTHER):
        assert "error_code" not in VENDOR.call("similar", "update", cont_sign=sign, brief=sign)
    for wrong in ("", "1", "1;2", "1,4294967296", "x,y"):
        refused = HERE.call("PATCH", path, {"old_cont_sign": wrong})
        assert (refused.status, refused.json["field"]) == (400, "/old_cont_sign")
    HERE.library("shop")
    refused = HERE.call("POST", "/libraries/shop/pictures", {**image, "old_cont_sign": OLD})
    assert refused.status == 400
    assert "a picture is its own id" in refused.json["detail"]


def test_whoever_names_two_pictures_by_one_sign_is_told_so(memory: Ports, imported: Import) -> None:
    """The later one has it as its own, and callers of either know it: neither may go for the other."""
    own = VENDOR.add("product", picture(1))
    imported((0, own))
    assert VENDOR.add("similar", picture(1)) == own
    assert (told(0), told(1)) == (own, own)
    assert VENDOR.call("similar", "update", cont_sign=own, brief="x")["error_code"] == 216100
    assert VENDOR.call("similar", "delete", cont_sign=f"1,1;{own}")["error_code"] == 216100
    assert HERE.call("GET", f"/libraries/similar/pictures/{own}").json["code"] == "sign_ambiguous"
    line, after = imported((1, ""), (2, ""), name="same.csv", on_duplicate=OnDuplicate.UPDATE)
    assert after[0] == "added", "the import goes on"
    assert line[0] in ("updated", "refused"), "by the API, it cannot be named; the stores know it by its row"
    first = next(one for one in memory.catalog.pictures(library(memory).uid, None, 9) if one.metadata.old_sign)
    path = f"/libraries/similar/pictures/{sign_of(first.digest)}"
    assert "old_cont_sign" not in HERE.call("PATCH", path, {"old_cont_sign": None}).json
    assert told(0) == sign_of(first.digest)
    assert "error_code" not in VENDOR.call("similar", "delete", cont_sign=own)
    assert told(0) == sign_of(first.digest)


def test_jumdata_s_callers_are_told_it_as_theirs(memory: Ports, imported: Import) -> None:
    theirs = base64.b64encode(OLD.encode()).decode().rstrip("=")
    client = Client(ALICE)
    client.call("input", base64=picture(1), description="first")
    imported((0, theirs), into="jumdata")
    found, _ = client.call("search", base64=picture(0))["data"]["result"]
    assert found["contSign"] == theirs
    assert client.call("delete", contSign=theirs)["code"] == 200
    assert client.call("input", base64=picture(0), description="back")["data"]["contSign"] == theirs


def test_why_a_row_with_a_sign_is_refused(memory: Ports, imported: Import) -> None:
    lines = imported((0, OLD), (1, OLD), (2, "8cnn32frvrr2cd901"), (3, "1,4294967296"))
    assert lines[0][0] == "added"
    assert lines[1][:2] == ("refused", "row 1 has its sign, too")
    for line in lines[2:]:
        assert line[:2] == (
            "refused",
            "cont_sign: must be two whole numbers below 4294967296, parted by a comma",
        )
    (line,) = imported((4, OLD), name="later.csv")
    assert line[0] == "refused"
    assert line[1] == f"cont_sign: {OLD} names the picture {lines[0][2]} already"
    own = lines[0][2]
    (line,) = imported((5, own), name="own.csv")
    assert line[1] == f"cont_sign: {own} names the picture {own} already"
    assert len(VENDOR.call("similar", "search", image=picture(0))["result"]) == 1, "what is refused is not added"
    assert "error_code" not in VENDOR.call("similar", "delete", cont_sign=OLD)
    assert imported((4, OLD), name="again.csv")[0][0] == "added", "nobody has it now"
    restore(memory, library(memory), own)
    assert told(0) == own, "another picture has its old sign by now"
    assert told(4) == OLD


def test_a_table_that_was_imported_before_old_signs_were_told(memory: Ports, imported: Import) -> None:
    own = VENDOR.add("similar", picture(0), "brief 0")
    (row,) = memory.catalog.pictures(library(memory).uid, None, 9)
    memory.catalog.save_aliases(library(memory).uid, {digest_prefix(OLD) or "": row.key.id})
    assert told(0) == own
    (line,) = imported((0, OLD))
    assert line == ("same", f"the library holds it as {own}, and tells vendors' callers {OLD}", own)
    assert told(0) == OLD
    (line,) = imported((0, OTHER), name="second.csv")
    assert line == ("same", f"the library holds it as {own}, and tells vendors' callers {OLD}", own)
    assert told(0) == OLD, "the first one stays"
    assert "error_code" not in VENDOR.call("similar", "update", cont_sign=OTHER, brief="brief 0")
    (line,) = imported((0, OTHER), name="third.csv", on_duplicate=OnDuplicate.UPDATE)
    assert line[0] == "updated"
    assert told(0) == OTHER
    for name, same in (("fourth.csv", OTHER), ("fifth.csv", "0011,0000000022")):
        (line,) = imported((0, same), name=name, on_duplicate=OnDuplicate.UPDATE)
        assert line[0] == "same"


def test_a_sign_in_the_place_of_the_id_is_one(memory: Ports, imported: Import) -> None:
    assert imported((0, OLD), (1, "sku 1"), mapped="id=cont_sign")[1][0] == "added"
    assert told(0) == OLD


def test_libraries_with_ids_of_their_own_take_it_for_the_id(memory: Ports, imported: Import) -> None:
    assert [line[2] for line in imported((0, OLD), (1, "8cnn32frvrr2cd901"), into="shop")] == [OLD, "8cnn32frvrr2cd901"]


def test_a_dry_run_refuses_a_sign_of_another_picture(memory: Ports, imported: Import) -> None:
    own = VENDOR.add("similar", picture(1))
    HERE.call("PATCH", f"/libraries/similar/pictures/{own}", {"old_cont_sign": OLD})
    reason = f"cont_sign: {OLD} names the picture {own} already"
    assert imported((0, OLD), dry=True)[0][:2] == ("refused", reason)
    assert imported((1, OLD), name="own.csv", dry=True)[0][0] != "refused"
    assert told(1) == OLD


@pytest.mark.parametrize("on_duplicate", [*OnDuplicate])
def test_a_dry_run_says_what_the_import_says(memory: Ports, imported: Import, on_duplicate: OnDuplicate) -> None:
    """Of what the library holds, and of what the table itself would have brought by then."""
    own = imported((0, OLD))[0][2]
    rows = [(0, OLD), (1, own), (2, OLD), (3, "x"), (4, "5,6"), (4, "05, 6"), (5, "5,6"), (6, OTHER), (0, OTHER)]
    before = VENDOR.call("similar", "search", image=picture(0))["result"]
    tried = imported(*rows, name="tried.csv", on_duplicate=on_duplicate, dry=True)
    assert VENDOR.call("similar", "search", image=picture(0))["result"] == before
    done = imported(*rows, name="tried.csv", on_duplicate=on_duplicate)
    assert [line[0] for line in tried] == [line[0] for line in done]
    there = {"return": "same", "update": "same", "refuse": "refused"}[on_duplicate]
    assert [line[0] for line in done[:7]] == [there, "refused", "refused", "refused", "added", there, "refused"]
    assert [line[1] for line in tried[1:4]] == [line[1] for line in done[1:4]]
    assert tried[6][1] == done[6][1] == "row 5 has its sign, too"
    assert done[5][2] == (done[4][2] if there == "same" else done[5][2]), "it is the same picture"


def test_a_dry_run_into_a_library_that_is_not_there_sees_the_table_s_own_twins(imported: Import) -> None:
    rows = [(0, OLD), (0, ""), (1, OLD), (0, OLD)]
    tried = sorted(line[0] for line in imported(*rows, dry=True))
    assert tried == sorted(line[0] for line in imported(*rows)) == ["added", "refused", "same", "same"]


def test_the_report_has_the_sign_that_was_taken(imported: Import, tmp_path: Path) -> None:
    rows = [(0, OLD), (1, OLD), (2, "1 ， 02"), (3, "sku 3"), (4, "")]
    done = imported(*rows, mapped="id=cont_sign")
    assert [line[0] for line in done] == ["added", "refused", "added", "added", "added"]
    assert told(2) == "1,2", "spaces and zeros are none of a sign's"
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = [(row["given"], row["sign"]) for row in csv.DictReader(file)]
    assert lines == [(OLD, OLD), (OLD, OLD), ("1 ， 02", "1,2"), ("sku 3", ""), ("", "")]
    (line,) = imported((2, "01,2"), name="again.csv", on_duplicate=OnDuplicate.UPDATE)
    assert line[0] == "same", "it is the sign that it has"


def test_libraries_with_ids_of_their_own_have_no_signs_in_the_report(imported: Import, tmp_path: Path) -> None:
    imported((0, OLD), into="shop")
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [(row["given"], row["sign"]) for row in csv.DictReader(file)] == [(OLD, "")]


def test_archives_take_it_along(memory: Ports, imported: Import, tmp_path: Path) -> None:
    imported((0, OLD), (1, ""))
    exported(memory, ALICE, tmp_path / "a")
    there = memory_ports(ALICE, BOB)
    put_back(there, BOB, tmp_path / "a")
    moved = there.catalog.library(BOB.tenant, "similar")
    assert moved is not None
    rows = there.catalog.pictures(moved.uid, None, 9)
    assert sorted(row.metadata.old_sign for row in rows) == ["", OLD]
    (signed,) = [row for row in rows if row.metadata.old_sign]
    assert there.catalog.alias(moved.uid, digest_prefix(OLD) or "") == signed.key.id


def test_a_trial_knows_the_own_signs_of_what_earlier_rows_bring(memory: Ports, imported: Import) -> None:
    ((_, _, own, *_),) = imported((5, ""), into="product")
    rows = ((5, ""), (6, own))
    assert [line[:2] for line in imported(*rows, dry=True)] == [
        ("added", ""),
        ("refused", f"cont_sign: {own} names the picture of row 1 already"),
    ]


def test_archives_take_it_from_no_live_picture(memory: Ports, imported: Import, tmp_path: Path) -> None:
    """One that is to come with it is refused, by a trial, too; one that is there stays as it is."""
    ((_, _, first, *_),) = imported((0, OLD))
    exported(memory, ALICE, tmp_path / "a")
    there = f"/libraries/similar/pictures/{first}"
    assert HERE.call("DELETE", there).status == 204
    ((outcome, _, second, *_),) = imported((1, OLD), name="u.csv")
    assert outcome == "added"
    assert put_back(memory, ALICE, tmp_path / "a").counts == {Outcome.REFUSED: 1}
    assert HERE.call("GET", there).status == 404
    assert told(1) == OLD
    assert HERE.call("POST", f"{there}/restore").status == 200
    (tmp_path / "a.journal").unlink()
    assert put_back(memory, ALICE, tmp_path / "a").counts == {Outcome.SAME: 1}
    assert told(0) == first
    assert VENDOR.call("similar", "delete", cont_sign=OLD).get("error_code") is None
    assert HERE.call("GET", f"/libraries/similar/pictures/{second}").status == 404
    assert HERE.call("GET", there).status == 200


def test_an_older_picture_gets_it_from_an_archive(memory: Ports, imported: Import, tmp_path: Path) -> None:
    """Unless another one has it here."""
    imported((0, ""), (1, ""))
    exported(memory, ALICE, tmp_path / "before")
    keys = [row.key for row in memory.catalog.pictures(library(memory).uid, None, 9)]
    for key, sign in zip(keys, (OLD, "8,8"), strict=True):
        assert (
            HERE.call("PATCH", f"/libraries/similar/pictures/{sign_of(key.id)}", {"old_cont_sign": sign}).status == 200
        )
    exported(memory, ALICE, tmp_path / "a")
    there = memory_ports(ALICE)
    put_back(there, ALICE, tmp_path / "before")
    second = Key(library(there).uid, keys[1].id)
    update(there, Update(LibraryRef(ALICE.tenant, "similar", Kind.SIMILAR), second, {"old_sign": OLD}))
    counts = put_back(there, ALICE, tmp_path / "a").counts
    assert counts == {Outcome.REFUSED: 1, Outcome.SAME: 1}, "the second was changed here after it was there"
    update(there, Update(LibraryRef(ALICE.tenant, "similar", Kind.SIMILAR), second, {"old_sign": ""}))
    (tmp_path / "a.journal").unlink()
    assert put_back(there, ALICE, tmp_path / "a").counts == {Outcome.UPDATED: 1, Outcome.SAME: 1}
    assert {told(0), told(1)} > {OLD}


@pytest.mark.parametrize("by", ["threads", "bulk"])
def test_of_many_at_the_same_time_one_is_given_a_sign(memory: Ports, by: str) -> None:
    """The others are refused, and are not there."""
    files = [image(picture(number)) for number in range(6)]
    HERE.call("PUT", "/libraries/product", {"kind": "product", "identity": "picture"})
    if by == "threads":
        with ThreadPoolExecutor(6) as pool:
            path = "/libraries/product/pictures"
            rows = [{"image": file, "old_cont_sign": OLD} for file in files]
            statuses = sorted(pool.map(lambda row: HERE.call("POST", path, row).status, rows))
    else:
        body = b"\n".join(json.dumps({**file, "old_cont_sign": OLD}).encode() for file in files)
        statuses = sorted(line["status"] for line in HERE.call("POST", "/libraries/product/bulk", body=body).lines[:-1])
    assert statuses == [201, 400, 400, 400, 400, 400]
    (there,) = HERE.call("GET", "/libraries/product/pictures").json["pictures"]
    assert there["old_cont_sign"] == OLD
    assert "error_code" not in VENDOR.call("product", "delete", cont_sign=OLD)
    assert VENDOR.call("product", "delete", cont_sign=OLD)["error_code"] == 216680
