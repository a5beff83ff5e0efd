"""Imports with narrowed keys: an import needs what an add needs, and uses what else the key may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.domain.application import Application, Permission, Policy
from lookalike.errors import InvalidArgument
from lookalike.ports import Ports
from lookalike.transfer import target as targets
from lookalike.transfer.api_target import ApiTarget
from lookalike.transfer.columns import Columns
from lookalike.transfer.journal import Entry
from lookalike.transfer.sources import open_source
from lookalike.transfer.target import NotShown, OnDuplicate, Wanted, Work, missing
from tests.conftest import ALICE
from tests.support.baidu import picture
from tests.support.fakes import MemoryApplications
from tests.support.native import NativeCaller
from tests.support.transfers import HandlersClient, Importer

SEARCH, ADD, UPDATE, _, GROUPS = Permission

Narrow = Callable[..., Importer]


@pytest.fixture
def narrow(memory: Ports) -> Narrow:
    """Makes an importer by the API with a key of ALICE's that is narrowed."""

    def make(*may: Permission) -> Importer:
        key = replace(ALICE, access_key="narrowed", app_id="10000009", name="gate 1", policy=Policy(may=may))
        assert isinstance(memory.applications, MemoryApplications)
        memory.applications.save_application(key)
        return Importer(memory, key, by_api=True)

    return make


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    (tmp_path / "t.csv").write_text("id,file,brief\na,1.png,one\nb,2.png,two\n")
    return tmp_path / "t.csv"


@pytest.mark.parametrize("may", [(ADD,), (ADD, GROUPS), (ADD, SEARCH)])
def test_what_an_add_needs_is_enough(memory: Ports, narrow: Narrow, source: Path, may: tuple[Permission, ...]) -> None:
    NativeCaller(ALICE).library("shop", identity="own", kind="same")
    importer = narrow(*may)
    assert importer.run(source, "shop") == [("added", "", "a"), ("added", "", "b")]
    source.with_name("t.csv.journal").unlink()
    source.with_name("2.png").write_bytes(picture(3))
    again = importer.run(source, "shop")
    assert again == [
        ("same", "the library holds it as a", "a"),
        ("refused", "the library holds another picture as b", "b"),
    ]
    assert [line[0] for line in importer.run(source, "shop", dry=True)] == (
        ["same", "refused"] if SEARCH in may else ["added", "added"]
    )


def test_pictures_that_are_their_own_ids(memory: Ports, narrow: Narrow, source: Path) -> None:
    NativeCaller(ALICE).library("pixels", identity="picture", kind="same")
    assert [line[0] for line in narrow(ADD).run(source, "pixels")] == ["added", "added"]


@pytest.mark.parametrize("may", [(ADD, SEARCH), (ADD, SEARCH, UPDATE)])
def test_a_trial_refuses_a_sign_that_the_key_may_not_give(
    memory: Ports, narrow: Narrow, source: Path, may: tuple[Permission, ...]
) -> None:
    NativeCaller(ALICE).library("same_hq", identity="picture", kind="same")
    importer = narrow(*may)
    source.write_text("file,brief\n1.png,one\n")
    importer.run(source, "same_hq")
    there = "same" if UPDATE in may else "refused"
    for number, (text, outcomes) in enumerate(
        [
            ('1.png,one,"1,2"\n2.png,two,"3,4"\n2.png,two,"3,4"\n', ["added", "same", there]),
            ('3.png,three,"5,6"\n3.png,three,"7,8"\n', ["added", there]),
        ]
    ):
        table = source.with_name(f"{number}.csv")
        table.write_text(f"file,brief,sign\n{text}")
        tried, done = (importer.run(table, "same_hq", dry=dry) for dry in (True, False))
        assert sorted(line[0] for line in tried) == sorted(line[0] for line in done) == sorted(outcomes)
        assert {line[1] for line in tried if there == line[0] == "refused"} == {
            line[1] for line in done if there == line[0] == "refused"
        }


def test_a_library_that_is_not_there_needs_another_right(memory: Ports, narrow: Narrow) -> None:
    with pytest.raises(InvalidArgument) as refused:
        narrow(ADD, UPDATE).target(Wanted("shop"))
    assert str(refused.value) == (
        "--library: there is no library shop, and the key may not list, make or change libraries, or list their "
        "pictures: it lacks the right groups; lookalike keys change --name 'gate 1' --may add,update,groups (HTTP 403)"
    )
    with pytest.raises(InvalidArgument, match=r"^--key: the key may not list, .* nor add pictures: .* groups or add;"):
        narrow(SEARCH).target(Wanted("shop"))


def test_to_change_what_is_said_needs_update_and_no_look(memory: Ports, narrow: Narrow, source: Path) -> None:
    NativeCaller(ALICE).library("shop", identity="own", kind="same")
    narrow(ADD).run(source, "shop")
    source.write_text("id,file,brief\na,1.png,new\n")
    for dry in (True, False):
        with pytest.raises(InvalidArgument) as refused:
            narrow(ADD).run(source, "shop", on_duplicate=OnDuplicate.UPDATE, dry=dry)
        assert str(refused.value) == (
            "--on-duplicate: update: the key may not change pictures: it lacks the right update; "
            "lookalike keys change --name 'gate 1' --may add,update"
        )
    assert narrow(ADD, UPDATE).run(source, "shop", on_duplicate=OnDuplicate.UPDATE) == [("updated", "", "a")]
    assert NativeCaller(ALICE).call("GET", "/libraries/shop/pictures/a").json["brief"] == "new"


@pytest.mark.parametrize("few", [0, 200])
@pytest.mark.parametrize("may", [(ADD, GROUPS), (ADD, SEARCH), (ADD,)])
def test_what_was_added_is_looked_up_by_any_way_that_the_key_has(
    memory: Ports, narrow: Narrow, source: Path, monkeypatch: pytest.MonkeyPatch, may: tuple[Permission, ...], few: int
) -> None:
    monkeypatch.setattr(targets, "_FEW_IDS", few)
    NativeCaller(ALICE).library("shop", identity="own", kind="same")
    importer = narrow(*may)
    importer.run(source, "shop")
    target = importer.target(Wanted("shop"))
    if may == (ADD,):
        with pytest.raises(NotShown, match="the key may not"):
            missing(target, {"a", "none"})
    else:
        assert missing(target, {"a", "none"}) == {"none"}


def test_a_trial_says_how_long_the_server_takes(memory: Ports, narrow: Narrow, source: Path) -> None:
    def said(application: Application) -> list[str]:
        target = ApiTarget(HandlersClient(application, memory), Wanted("shop"), make=False)
        works = [Work(row, Entry("", "", begun=False, twin=None)) for row in rows]
        assert [result.outcome for _, result in target.try_out(works)] == ["added"] * 2
        return [*target.estimate(2000, 1.0)]

    rows = [*open_source(source, Columns()).rows()]
    assert said(ALICE) == ["how long the server takes is not known: the library is not there yet"]
    NativeCaller(ALICE).library("shop", identity="own", kind="same")
    (line,) = said(ALICE)
    assert line.startswith("adding 2,000 pictures takes the server at most about ")
    held, seconds = said(narrow(ADD).application)
    assert held.startswith("which pictures the library holds is not known: the key may not search")
    assert seconds.startswith("how long the server takes is not known: the key may not search")
    assert NativeCaller(ALICE).call("GET", "/libraries/shop").json["pictures"] == 0
