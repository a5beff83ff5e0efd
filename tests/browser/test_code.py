"""What "show as code" shows does what the page does: each text is run as it stands, with keys and files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.browser.scenes import CAT, CUP, PALACE, ROCKET, cropped
from tests.browser.visitor import Visitor, png

Visit = Callable[..., Visitor]

#: What programs print where something was refused.
WRONG = ("problems#", "error_code", "error_msg", '"error"', "'error'", "Traceback")


def ways(visitor: Visitor, within: str = "main", number: int = 0) -> dict[str, str]:
    """Return what a button for code shows, by the names of the ways."""
    visitor.page.locator(within).get_by_role("button", name="Show as code").nth(number).click()
    dialog = visitor.page.locator("dialog.code")
    dialog.locator("pre").wait_for()
    texts = {}
    for tab in dialog.locator(".tabs button").all():
        tab.click()
        texts[tab.inner_text()] = dialog.locator("pre").inner_text()
    visitor.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    return texts


def run(visitor: Visitor, way: str, text: str, folder: Path) -> str:
    """Run shown code as somebody would who pastes it, with keys and a picture; return what it prints."""
    keys = visitor.keys
    if way == "curl":
        if shutil.which("curl") is None:
            pytest.skip("curl is missing")
        command = [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            text.replace("API_KEY:SECRET_KEY", f"{keys.access_key}:{keys.secret_key}"),
        ]
    else:
        for name, key in (("APP_ID", keys.app_id), ("API_KEY", keys.access_key), ("SECRET_KEY", keys.secret_key)):
            text = text.replace(f'"{name}"', repr(key))
        command = [sys.executable, "-W", "ignore", "-c", text]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{way}: {text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_all(visitor: Visitor, texts: Mapping[str, str], folder: Path, *expected: str) -> dict[str, str]:
    """Run every way; each succeeds. What it prints holds what is ``expected``."""
    said = {way: run(visitor, way, text, folder) for way, text in texts.items()}
    for way, printed in said.items():
        assert not [word for word in WRONG if word in printed], (way, printed)
        assert re.search(r"'code': (?!0|200)", printed) is None, (way, printed)
        assert all(word in printed for word in expected), (way, printed)
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the pictures that shown code reads."""
    (tmp_path / "picture.jpg").write_bytes(png(PALACE))
    (tmp_path / "file-0.png").write_bytes(png(cropped(CAT)))
    return tmp_path


def held(visitor: Visitor, name: str, kind: str, identity: str = "picture") -> None:
    """Make the library anew, with three pictures."""
    known = [one["name"] for one in visitor.api("GET", "/libraries").json()["libraries"]]
    if name in known:
        visitor.api("DELETE", f"/libraries/{name}")
    visitor.api("PUT", f"/libraries/{name}", json={"kind": kind, "identity": identity})
    for picture in (CAT, CUP, ROCKET):
        visitor.api("POST", f"/libraries/{name}/pictures", content=png(picture), headers={"Content-Type": "image/png"})


VENDORS = [
    pytest.param("similar", "similar", "picture", {"Baidu SDK", "Qiniu SDK"}, id="similar"),
    pytest.param("same_hq", "same", "picture", {"Baidu SDK", "Qiniu SDK"}, id="same_hq"),
    pytest.param("jumdata", "similar", "picture", {"Jumdata", "Qiniu SDK"}, id="jumdata"),
    pytest.param("shop", "product", "own", {"Qiniu SDK"}, id="own"),
]


@pytest.mark.parametrize(("name", "kind", "identity", "vendors"), VENDORS)
def test_pictures_are_added_searched_and_deleted(
    visit: Visit, folder: Path, name: str, kind: str, identity: str, vendors: set[str]
) -> None:
    visitor = visit()
    held(visitor, name, kind, identity)
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(3)
    added = ways(visitor, ".head")
    assert set(added) == {"curl", "Python", *vendors}
    for way, text in added.items():
        run_all(visitor, {way: text}, folder)
        assert visitor.api("GET", f"/libraries/{name}").json()["pictures"] == 4, way
        held(visitor, name, kind, identity)

    visitor.paste(png(cropped(CAT)))
    visitor.page.locator(".score").first.wait_for()
    texts = ways(visitor, ".head")
    assert set(texts) == {"curl", "Python", *vendors}
    run_all(visitor, texts, folder, "score")

    for way in ("curl", "Python", *vendors):
        held(visitor, name, kind, identity)
        visitor.open(f"l/{name}")
        visitor.wait_for_tiles(3)
        visitor.page.get_by_role("option").first.click()
        visitor.page.locator("dialog .edit").wait_for()
        text = ways(visitor, "dialog footer")[way]
        run_all(visitor, {way: text}, folder)
        assert visitor.api("GET", f"/libraries/{name}").json()["pictures"] == 2, way
        visitor.page.keyboard.press("Escape")


@pytest.mark.parametrize(
    ("name", "kind", "tags"), [("similar", "similar", ["1", "20"]), ("product", "product", ["1:3", "2:4"])]
)
def test_what_is_said_of_a_picture_is_changed(
    visit: Visit, folder: Path, name: str, kind: str, tags: list[str]
) -> None:
    visitor = visit()
    held(visitor, name, kind)
    visitor.open(f"l/{name}")
    visitor.page.get_by_role("option").first.click()
    brief = 'a "true" [ null } it\'s 图 \\'
    visitor.page.get_by_label("Brief").fill(brief)
    visitor.page.get_by_label("Tags").fill(",".join(tags))
    visitor.page.keyboard.press("Enter")
    texts = ways(visitor, "dialog .edit")
    assert set(texts) == {"curl", "Python", "Baidu SDK"}
    for way, text in texts.items():
        run_all(visitor, {way: text}, folder)
        changed = [
            one for one in visitor.api("GET", f"/libraries/{name}/pictures").json()["pictures"] if one.get("brief")
        ]
        assert [(one["brief"], sorted(one["tags"])) for one in changed] == [(brief, sorted(tags))], way
        address = changed[0]["self"].removeprefix("/api/v1")
        visitor.api("PATCH", address, json={"brief": "", "tags": []})


def test_libraries_are_listed_made_and_removed(visit: Visit, folder: Path) -> None:
    visitor = visit()
    visitor.api("PUT", "/libraries/there", json={"kind": "same"})
    visitor.open()
    texts = ways(visitor, ".head")
    assert set(texts) == {"curl", "Python", "Qiniu SDK"}
    run_all(visitor, texts, folder, "there")
    run_all(visitor, ways(visitor, ".panel"), folder, "operator")

    visitor.button("New library").click()
    visitor.page.get_by_label("Name").fill("made")
    visitor.page.get_by_label("Similar pictures").check()
    made = ways(visitor, "dialog")
    visitor.page.keyboard.press("Escape")
    assert set(made) == {"curl", "Python", "Qiniu SDK"}
    for way, text in made.items():
        run_all(visitor, {way: text}, folder)
        visitor.open("l/made")
        visitor.says("Similar pictures · 0 pictures")
        settings(visitor)
        run_all(visitor, ways(visitor, "dialog"), folder, "made")
        visitor.button("Remove library", "dialog").click()
        removed = ways(visitor, "dialog")
        visitor.page.keyboard.press("Escape")
        assert set(removed) == {"curl", "Python", "Qiniu SDK"}
        run_all(visitor, {way: removed[way]}, folder)
        assert "made" not in [one["name"] for one in visitor.api("GET", "/libraries").json()["libraries"]], way


def settings(visitor: Visitor) -> None:
    visitor.button("Settings").click()
    visitor.page.locator("dialog .facts").wait_for()


def test_many_are_tagged_deleted_restored_and_listed(visit: Visit, folder: Path) -> None:
    visitor = visit()
    name = visitor.library(png(CAT), png(CUP))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(2)
    run_all(visitor, ways(visitor, ".tabs"), folder, "p0", "p1")
    visitor.page.get_by_role("option").first.focus()
    visitor.page.keyboard.press("x")
    visitor.page.keyboard.press("Shift+ArrowRight")
    deleted = ways(visitor, ".bar")
    assert set(deleted) == {"curl", "Python", "Qiniu SDK"}
    visitor.button("Tag").click()
    visitor.page.get_by_label("Tags").fill("red,")
    tagged = ways(visitor, "dialog")
    visitor.page.keyboard.press("Escape")
    run_all(visitor, tagged, folder, "200")
    assert visitor.api("GET", f"/libraries/{name}/pictures/p0").json()["tags"] == ["red"]
    restored: dict[str, str] = {}
    for way, text in deleted.items():
        run_all(visitor, {way: text}, folder)
        assert visitor.api("GET", f"/libraries/{name}").json()["pictures"] == 0, way
        if not restored:
            visitor.open(f"l/{name}")
            visitor.button("Deleted").click()
            visitor.wait_for_tiles(2)
            for i in range(2):
                visitor.tiles().nth(i).focus()
                visitor.page.keyboard.press("x")
            restored = ways(visitor, ".bar")
        for one in ("p0", "p1"):
            visitor.api("POST", f"/libraries/{name}/pictures/{one}/restore")
    visitor.api("DELETE", f"/libraries/{name}/pictures/p0")
    visitor.api("DELETE", f"/libraries/{name}/pictures/p1")
    run(visitor, "curl", restored["curl"], folder)
    assert visitor.api("GET", f"/libraries/{name}").json()["pictures"] == 1


def test_everything_a_search_was_told_is_shown(visit: Visit, folder: Path) -> None:
    """Examples with awkward names, minus-examples, tags and further libraries; a vendor has no words for them."""
    visitor = visit()
    name = visitor.library(png(CAT), png(CUP), kind="similar")
    visitor.open(f"l/{name}/search")
    awkward = folder / 'it\'s a "cat" $(x).png'
    awkward.write_bytes(png(ROCKET))
    visitor.paste(png(cropped(CAT)))
    visitor.page.locator(".score").first.wait_for()
    visitor.page.locator("[aria-label='Like these, too'] input").set_input_files(awkward)
    visitor.button("Less like picture 1").click()
    visitor.page.get_by_label("With none of these tags").fill("red,")
    visitor.page.keyboard.press("Enter")
    visitor.page.locator(".found[aria-busy=false] .score").first.wait_for()
    texts = ways(visitor, ".head")
    assert set(texts) == {"curl", "Python"}
    run_all(visitor, texts, folder, '"matches"', "picture 0")


def test_a_check_and_a_comparison_are_shown(visit: Visit, folder: Path) -> None:
    visitor = visit()
    name = visitor.library(png(CAT))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(1)
    visitor.drop(png(cropped(CAT)), on=2)
    visitor.says("A copy of it is in")
    run_all(visitor, ways(visitor, "dialog"), folder, "held", "false")
    visitor.page.keyboard.press("Escape")
    visitor.open("compare")
    visitor.page.locator(".empty").wait_for()
    visitor.drop(png(cropped(CAT)), png(CUP))
    visitor.page.locator(".verdicts").wait_for()
    (folder / "file-1.png").write_bytes(png(CUP))
    said: dict[str, Any] = json.loads(run_all(visitor, ways(visitor, ".head"), folder)["curl"])
    assert said["identical"] is False
