"""Pictures come over from vendors with their ids, labels and descriptions; the vendor is played by its own dialect."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from lookalike.cli.import_vendor import Migration, Vendor
from lookalike.domain.library import Identity
from lookalike.errors import InvalidArgument
from lookalike.ports import Ports
from lookalike.transfer.qiniu_listing import Call, caller, write_listing
from lookalike.transfer.rows import Row, Source, SourceError
from lookalike.transfer.target import Wanted
from tests.conftest import ALICE, BOB
from tests.support import baidu
from tests.support.baidu import Caller
from tests.support.jumdata import Client
from tests.support.native import NativeCaller
from tests.support.qiniu import GroupCaller, one
from tests.support.transfers import Importer


def picture(number: int) -> bytes:
    """A picture as large as the vendor asks for."""
    return baidu.picture(number, size=(64, 48))


def played(group: GroupCaller, *, page: int) -> Call:
    """The vendor, whose pages are short."""

    def call(method: str, path: str) -> tuple[int, bytes]:
        answer = group.raw(method, path.replace("limit=1000", f"limit={page}"))
        return answer["statusCode"], answer["body"].encode()

    return call


@pytest.mark.parametrize("by_api", [False, True])
def test_a_qiniu_group_keeps_ids_labels_and_descriptions(memory: Ports, tmp_path: Path, by_api: bool) -> None:
    vendor, here = GroupCaller(ALICE), GroupCaller(BOB)
    said = [
        one(picture(number), id=f"shoes/{number}", label={"n": number}, desc={"price": [number]}) for number in range(5)
    ]
    vendor.new("shoes", *said)
    pictures = tmp_path / "pictures"
    (pictures / "shoes").mkdir(parents=True)
    for number in range(5):
        (pictures / "shoes" / (f"{number}.png" if number else "0")).write_bytes(picture(number))
    table = tmp_path / "shoes.jsonl"
    call = played(vendor, page=2)
    assert write_listing(call, "shoes", str(pictures), table) == 5
    lines = Importer(memory, BOB, by_api).run(table, "shoes", root=pictures)
    assert lines == [("added", "", f"shoes/{number}") for number in range(5)]
    assert here.get("/shoes").body["result"] == vendor.get("/shoes").body["result"]
    assert here.search(["shoes"], picture(3)).body["result"][0]["id"] == "shoes/3"
    assert here.post("/shoes/delete", {"images": ["shoes/3"]}).status == 200
    assert write_listing(call, "shoes", "unused", table) == 5  # it was listed


def test_pictures_by_url(memory: Ports, tmp_path: Path) -> None:
    vendor = GroupCaller(ALICE)
    vendor.new("shoes", one(picture(1), id="a b"))
    write_listing(played(vendor, page=9), "shoes", "https://cdn.example/{id}?x", tmp_path / "t.jsonl")
    assert json.loads((tmp_path / "t.jsonl").read_text()) == {"id": "a b", "url": "https://cdn.example/a%20b?x"}


def test_a_vendor_that_does_not_list(memory: Ports, tmp_path: Path) -> None:
    call = played(GroupCaller(ALICE), page=9)
    with pytest.raises(SourceError, match="the vendor does not list the group: HTTP 400"):
        write_listing(call, "none", str(tmp_path), tmp_path / "t.jsonl")
    assert not (tmp_path / "t.jsonl").exists()
    with pytest.raises(InvalidArgument, match="neither a folder nor a URL with"):
        write_listing(call, "none", str(tmp_path / "none"), tmp_path / "t.jsonl")
    with pytest.raises(InvalidArgument, match="ACCESS_KEY:SECRET_KEY"):
        caller("http://x", "key")
    with pytest.raises(InvalidArgument, match="is not http"):
        caller("x", "a:b")


def test_baidu_s_signs_are_told_apart_from_ids(tmp_path: Path) -> None:
    header = ["cont_sign", "file", "brief"]
    columns = Migration(Vendor.BAIDU, None, None, "").columns("")
    assert columns.of(header, "t") == {"cont_sign": "sign", "file": "file", "brief": "brief"}
    mapped = Migration(Vendor.BAIDU, None, None, "").columns("id=file,file=brief")
    assert mapped.of(header, "t") == {"cont_sign": "sign", "file": "id", "brief": "file"}
    assert columns.of(["file"], "t") == {"file": "file"}
    with pytest.raises(InvalidArgument, match="goes with --from qiniu"):
        Migration(Vendor.BAIDU, "g", None, "").opened(tmp_path, "", None, None)
    with pytest.raises(InvalidArgument, match="--group: missing"):
        Migration(Vendor.QINIU, None, None, "").opened(tmp_path, "", None, None)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_vendors_own_names_are_known(tmp_path: Path, ending: str) -> None:
    def read(vendor: Vendor | None, said: dict[str, str]) -> tuple[Row, Source]:
        table = tmp_path / f"t.{ending}"
        cells = [",".join(f'"{cell}"' for cell in line) for line in (said, said.values())]
        table.write_text(json.dumps({"file": "a"}) + "\n" + json.dumps(said) if ending == "jsonl" else "\n".join(cells))
        source = Migration(vendor, None, None, "").opened(table, "", None, None)
        return [*source.rows()][-1], source

    row, source = read(Vendor.JUMDATA, {"file": "a", "description": "mine", "contSign": "MSwy", "brief": "x"})
    assert (row.brief, row.sign, row.old_sign()) == ("mine", "MSwy", "1,2")
    assert source.column("sign") == ("contSign" if ending == "csv" else "contsign")
    row, _ = read(Vendor.JUMDATA, {"file": "a", "brief": "mine", "cont_sign": "1,2"})
    assert (row.brief, row.sign) == ("mine", "1,2")
    said = {"url": "http://x/a", "brief": "b", "tags": "1,2", "cont_sign": "3,4", "class_id1": "5", "class_id2": " "}
    row, source = read(Vendor.BAIDU, said)
    assert (row.url, row.brief, row.tags, row.sign) == ("http://x/a", "b", ("1", "2", "1:5"), "3,4")
    assert not [one for one in source.notes() if "say nothing" in one]
    row, source = read(None, said)
    assert (row.tags, row.sign) == (("1", "2"), "")
    assert "cont_sign, class_id1, class_id2" in source.notes()[0]


def test_signs_are_kept_where_the_vendor_s_callers_find_them(memory: Ports, tmp_path: Path) -> None:
    for by_api, dry in ((False, False), (False, True), (True, False), (True, True)):
        importer = Importer(memory, ALICE, by_api)
        with pytest.raises(InvalidArgument, match=r"^--library: there is no library shop, .* baidu do not reach") as no:
            importer.target(Wanted("shop", vendor="baidu"), make=not dry)
        assert "they reach same_hq, similar, product; for a library whose ids are" in str(no.value)
        assert importer.target(Wanted("similar", vendor="baidu"), make=not dry).identity is Identity.PICTURE
    assert [one.name for one in memory.catalog.libraries(ALICE.tenant)] == ["similar"]
    NativeCaller(ALICE).library("shop", kind="same", identity="own")
    assert Importer(memory, ALICE, by_api=False).target(Wanted("shop", vendor="baidu")).identity is Identity.OWN
    assert Wanted("shop", vendor="baidu").notes(Identity.OWN) == [
        "shop has ids of its own: old signs become ids there, and no caller of baidu reaches them"
    ]
    assert Wanted("shop", vendor="baidu").notes(Identity.PICTURE) == Wanted("shop").notes(Identity.OWN) == []


def test_ids_of_a_vendor_s_list_lead_nowhere_else(memory: Ports, tmp_path: Path) -> None:
    vendor = GroupCaller(ALICE)
    vendor.new("shoes", one(picture(1), id="../secret.png"))
    (tmp_path / "secret.png").write_bytes(picture(1))
    (tmp_path / "pictures").mkdir()
    write_listing(played(vendor, page=2), "shoes", str(tmp_path / "pictures"), tmp_path / "shoes.jsonl")
    lines = Importer(memory, BOB, by_api=False).run(tmp_path / "shoes.jsonl", "shoes", root=tmp_path / "pictures")
    assert [line[0] for line in lines] == ["refused"]


OLD = "123456789,987654321"


@pytest.mark.parametrize("by_api", [False, True])
@pytest.mark.parametrize("library", ["similar", "jumdata"])
def test_signs_that_callers_have_stored_go_on_working(
    memory: Ports, tmp_path: Path, library: str, by_api: bool
) -> None:
    given = OLD if library == "similar" else base64.b64encode(OLD.encode()).decode().rstrip("=")
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    table = tmp_path / "t.csv"
    table.write_text(f'file,cont_sign,brief\n0.png,"{given}",first\n1.png,no sign,second\n')
    lines = Importer(memory, ALICE, by_api=by_api).run(table, library, "id=cont_sign")
    assert [line[0] for line in lines] == ["added", "added"]
    assert lines[0][2] != OLD
    baidu, jumdata = Caller(ALICE), Client(ALICE)
    stranger = "1,2" if library == "similar" else base64.b64encode(b"1,2").decode()
    if library == "similar":
        assert "error_code" not in baidu.call("similar", "update", cont_sign=OLD, brief="changed")
        assert baidu.call("similar", "search", image=picture(0))["result"][0]["brief"] == "changed"
        assert baidu.call("similar", "update", cont_sign=stranger, brief="x")["error_code"] == 216680
        assert baidu.call("product", "delete", cont_sign=OLD)["error_code"] == 216680, "of another library"
        assert Caller(BOB).call("similar", "delete", cont_sign=OLD)["error_code"] == 216680
        assert "error_code" not in baidu.call("similar", "delete", cont_sign=f"{OLD};{stranger}")
        assert baidu.call("similar", "delete", cont_sign=OLD)["error_code"] == 216680, "it is gone"
        assert "cont_sign" in baidu.call("similar", "add", image=picture(0), brief="again")
        assert "error_code" not in baidu.call("similar", "update", cont_sign=OLD, brief="it is the same picture")
    else:
        assert jumdata.call("delete", contSign=stranger)["code"] != 200
        assert jumdata.call("delete", contSign=given)["code"] == 200
        assert jumdata.found(picture(0)) != ["first"]


def test_a_sign_of_its_own_comes_before_another_picture_s_old_one(memory: Ports, tmp_path: Path) -> None:
    sign = Caller(ALICE).call("similar", "add", image=picture(5), brief="here")["cont_sign"]
    (tmp_path / "0.png").write_bytes(picture(0))
    (tmp_path / "t.csv").write_text(f'file,id,brief\n0.png,"{sign}",came\n')
    Importer(memory, ALICE, by_api=False).run(tmp_path / "t.csv", "similar")
    Caller(ALICE).call("similar", "update", cont_sign=sign, brief="changed")
    assert Caller(ALICE).call("similar", "search", image=picture(5))["result"][0]["brief"] == "changed"
