"""An archive holds all that is stored of a library, and is put back as it was; what is wrong with one changes nothing."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture, source_key
from lookalike.errors import InvalidArgument
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.update import Update, update
from lookalike.transfer import archive_part
from lookalike.transfer.archive_format import MANIFEST, Manifest, is_archive, read_json
from lookalike.transfer.archive_part import sum_of
from lookalike.transfer.archive_source import ArchiveSource
from lookalike.transfer.exporting import Export, Stored, chosen
from lookalike.transfer.outcomes import Outcome
from lookalike.transfer.rows import SourceError
from tests.conftest import ALICE, BOB
from tests.support.archives import contents, exported, put_back
from tests.support.baidu import picture
from tests.support.fakes import TinyEmbedder, memory_ports
from tests.support.native import NativeCaller

BOUNDS = Bounds(1 << 24, 1, 4999, 1 << 25, frozenset({"PNG"}))


def put(ports: Ports, library: str, number: int, id_: str | None = None, **said: str) -> Picture:
    identity = Identity.PICTURE if id_ is None else Identity.OWN
    ref = LibraryRef(ALICE.tenant, library, Kind.SAME, identity)
    metadata = Metadata(tags=(str(number),), **said)
    return add(ports, Add(ref, Source(BOUNDS, data=picture(number)), metadata, id_))


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> Ports:
    """Two libraries, in parts of three rows."""
    monkeypatch.setattr(archive_part, "MAX_ROWS", 3)
    ports = memory_ports(ALICE, BOB)
    for number in range(8):
        put(ports, "shop", number, f"id {number}/ü", brief=f"brief {number}", label='\0{"n":1.10}', desc='{"a":[1]}')
    for number in range(1, 5):  # no tag of Baidu's is 0
        put(ports, "same_hq", number, brief=str(number))
    gone = put(ports, "shop", 99, "gone")
    delete(ports, Delete(LibraryRef(ALICE.tenant, "shop", Kind.SAME, Identity.OWN), (gone.key.id,)))
    update(ports, Update(LibraryRef(ALICE.tenant, "shop", Kind.SAME, Identity.OWN), "id 3/ü", {"brief": "new"}))
    return ports


def test_all_of_it_comes_back(filled: Ports, tmp_path: Path) -> None:
    done = exported(filled, ALICE, tmp_path / "a")
    assert (done.manifest.rows, done.lost) == (12, [])
    there = memory_ports(ALICE, BOB)
    assert put_back(there, BOB, tmp_path / "a").counts == {Outcome.ADDED: 12}
    for name in ("shop", "same_hq"):
        assert contents(there, BOB, name) == contents(filled, ALICE, name)
        assert contents(there, BOB, name)
    assert put_back(there, BOB, tmp_path / "a").counts == {Outcome.ADDED: 12}
    library = there.catalog.library(BOB.tenant, "shop")
    assert library is not None
    assert there.index.count(library.uid) == 8
    exported(there, BOB, tmp_path / "b")
    again = memory_ports(ALICE)
    put_back(again, ALICE, tmp_path / "b", "shop", rename="store")
    assert contents(again, ALICE, "store") == contents(filled, ALICE, "shop")


def test_names_that_other_services_knew_pictures_by_come_along(filled: Ports, tmp_path: Path) -> None:
    libraries = {one.name: one for one in filled.catalog.libraries(ALICE.tenant)}
    for number, library in enumerate(libraries.values()):
        filled.catalog.save_aliases(library.uid, {f"{one:016x}": f"picture {one} of {number}" for one in range(700)})
    exported(filled, ALICE, tmp_path / "a")
    there = memory_ports(ALICE)
    put_back(there, ALICE, tmp_path / "a", "shop")
    shop = there.catalog.library(ALICE.tenant, "shop")
    assert shop is not None
    assert list(there.catalog.aliases(shop.uid, "", 1000)) == list(
        filled.catalog.aliases(libraries["shop"].uid, "", 1000)
    )
    assert there.catalog.library(ALICE.tenant, "same_hq") is None
    _flip(tmp_path / "a/aliases.ndjson")
    with pytest.raises(SourceError, match=r"aliases.ndjson: damaged"):
        ArchiveSource(tmp_path / "a")


def test_what_is_left_of_an_archive_is_no_folder_of_pictures(filled: Ports, tmp_path: Path) -> None:
    exported(filled, ALICE, tmp_path / "a")
    (tmp_path / "a" / MANIFEST).unlink()
    assert is_archive(tmp_path / "a")
    with pytest.raises(SourceError, match="an export that was not finished"):
        ArchiveSource(tmp_path / "a")
    assert not is_archive(tmp_path)


def test_others_can_read_it(filled: Ports, tmp_path: Path) -> None:
    exported(filled, ALICE, tmp_path / "a", "shop")
    rows = [json.loads(line) for line in (tmp_path / "a/rows-00001.ndjson").read_text().splitlines()]
    vectors = np.load(tmp_path / "a/vectors-00001.npy")
    assert vectors.shape == (3, 256)
    assert vectors.dtype == np.float16
    with tarfile.open(tmp_path / "a/originals-00001.tar") as tar:
        for row in rows:
            number = int(row["tags"][0])
            member = tar.extractfile(row["original"]["name"])
            assert member is not None
            assert member.read() == picture(number)
    assert [row["id"] for row in rows] == ["id 3/ü", "id 4/ü", "id 5/ü"]
    assert rows[0]["brief"] == "new"


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


NAMES = ("rows-00000.ndjson", "vectors-00001.npy", "maps-00002.bin", "originals-00001.tar", MANIFEST)


@pytest.mark.parametrize("harm", [_flip, _cut, Path.unlink])
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_archive_is_one_line_and_changes_nothing(
    filled: Ports, tmp_path: Path, harm: Callable[[Path], None], name: str
) -> None:
    exported(filled, ALICE, tmp_path / "a")
    harm(tmp_path / "a" / name)
    there = memory_ports(ALICE)
    with pytest.raises(SourceError) as error:
        put_back(there, ALICE, tmp_path / "a")
    assert "\n" not in str(error.value)
    assert str(tmp_path / "a") in str(error.value)
    assert there.catalog.libraries(ALICE.tenant) == []


def test_vectors_of_another_dimension_are_seen_before_anything_is_written(filled: Ports, tmp_path: Path) -> None:
    exported(filled, ALICE, tmp_path / "a")
    path, name = tmp_path / "a" / MANIFEST, "vectors-00001.npy"
    np.save(tmp_path / "a" / name, np.load(tmp_path / "a" / name)[:, :128])
    manifest = read_json(path, Manifest)
    parts = [
        msgspec.structs.replace(part, files={**part.files, name: sum_of(path.with_name(name))})
        if name in part.files
        else part
        for part in manifest.parts
    ]
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, parts=tuple(parts)).sealed()))
    there = memory_ports(ALICE)
    with pytest.raises(
        SourceError, match=r"float16 of \(\d+, 128\), and this lookalike reads float16 of \(\d+, 256\)$"
    ):
        put_back(there, ALICE, tmp_path / "a")
    assert there.catalog.libraries(ALICE.tenant) == []


def test_a_newer_version_and_what_is_none(filled: Ports, tmp_path: Path) -> None:
    exported(filled, ALICE, tmp_path / "a")
    manifest = tmp_path / "a" / MANIFEST
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**said, "version": 2, "parts": "new"}))
    with pytest.raises(SourceError, match="version 2 of the format, and this lookalike reads up to 1"):
        ArchiveSource(tmp_path / "a")
    manifest.write_text(json.dumps({**said, "format": "zip"}))
    with pytest.raises(SourceError, match="no archive of lookalike"):
        ArchiveSource(tmp_path / "a")
    manifest.write_text(json.dumps(said))
    with pytest.raises(SourceError, match="has no library none; it has same_hq, shop"):
        ArchiveSource(tmp_path / "a", ["none"])


class OtherEmbedder(TinyEmbedder):
    """Another model."""

    model = "other"
    _projection = np.random.default_rng(1).standard_normal((16 * 16 * 3 + 1, 256)).astype(np.float32)


def test_another_model_is_refused_or_embeds_again(filled: Ports, tmp_path: Path) -> None:
    exported(filled, ALICE, tmp_path / "a")
    there = memory_ports(ALICE, embedder=OtherEmbedder())
    with pytest.raises(InvalidArgument, match="of the model tiny, and here it is other: --reembed makes them again"):
        put_back(there, ALICE, tmp_path / "a")
    assert there.catalog.libraries(ALICE.tenant) == []
    put_back(there, ALICE, tmp_path / "a", reembed=True)
    library = there.catalog.library(ALICE.tenant, "shop")
    assert library is not None
    row = there.catalog.picture(Key(library.uid, "id 1/ü"))
    fresh = memory_ports(ALICE, embedder=OtherEmbedder())
    assert row is not None
    assert row.model == "other"
    assert np.array_equal(row.vector, put(fresh, "shop", 1, "id 1/ü").vector)


def test_an_export_that_was_broken_off_goes_on(filled: Ports, tmp_path: Path) -> None:
    stored = Stored(filled.catalog, filled.originals, filled.maps)
    libraries = chosen(filled.catalog, ALICE.tenant, [])

    def stop(rows: int) -> None:
        if rows:
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            Export(stored, libraries, tmp_path / "a").run(stop)
        with pytest.raises(SourceError, match="not finished; run it again"):
            ArchiveSource(tmp_path / "a")
    (tmp_path / "a/rows-00009.ndjson.part").touch()
    going_on = Export(stored, libraries, tmp_path / "a")
    assert going_on.done
    assert going_on.run(lambda _: None).manifest.rows == 12
    there = memory_ports(ALICE)
    put_back(there, ALICE, tmp_path / "a")
    assert contents(there, ALICE, "shop") == contents(filled, ALICE, "shop")
    assert not list((tmp_path / "a").glob("*.part"))
    with pytest.raises(InvalidArgument, match="holds an archive already"):
        exported(filled, ALICE, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x").touch()
    with pytest.raises(InvalidArgument, match="is not empty"):
        exported(filled, ALICE, tmp_path / "b")
    with pytest.raises(SourceError, match="there is no library none; there are same_hq, shop"):
        exported(filled, ALICE, tmp_path / "c", "none")


def test_rows_that_change_while_they_are_written(
    filled: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = LibraryRef(ALICE.tenant, "shop", Kind.SAME, Identity.OWN)
    get = filled.originals.get
    changed: set[str] = set()

    def changing(key: str) -> bytes | None:
        """Replace the picture just before its original is read, the first time."""
        library = filled.catalog.library(ALICE.tenant, "shop")
        assert library is not None
        for number, id_ in ((2, "id 2/ü"), (5, "id 5/ü")):
            row = filled.catalog.picture(Key(library.uid, id_))
            if row is not None and row.live and key == row.object_key and id_ not in changed:
                changed.add(id_)
                if number == 5:
                    delete(filled, Delete(ref, (id_,)))
                    filled.originals.remove([key])
                else:
                    add(filled, Add(ref, Source(BOUNDS, data=picture(200)), Metadata(), id_, replace=True))
        return get(key)

    with monkeypatch.context() as patch:
        patch.setattr(filled.originals, "get", changing)
        done = exported(filled, ALICE, tmp_path / "a", "shop")
    assert (done.manifest.rows, done.lost) == (7, [])
    there = memory_ports(ALICE)
    put_back(there, ALICE, tmp_path / "a")
    assert contents(there, ALICE, "shop") == contents(filled, ALICE, "shop")


@pytest.mark.parametrize("damaged", [False, True])
def test_an_original_that_is_lost_or_damaged_is_said(filled: Ports, tmp_path: Path, *, damaged: bool) -> None:
    library = filled.catalog.library(ALICE.tenant, "shop")
    assert library is not None
    row = filled.catalog.picture(Key(library.uid, "id 2/ü"))
    assert row is not None
    filled.originals.remove([row.object_key])
    if damaged:
        filled.originals.put(row.object_key, b"half of a file")
    done = exported(filled, ALICE, tmp_path / "a", "shop")
    assert (done.manifest.rows, done.lost) == (7, ["shop/id 2/ü"])


def test_what_is_there_stays_unless_the_archive_is_newer(filled: Ports, tmp_path: Path) -> None:
    exported(filled, ALICE, tmp_path / "a", "shop")
    there = memory_ports(ALICE)
    put_back(there, ALICE, tmp_path / "a")
    ref = LibraryRef(ALICE.tenant, "shop", Kind.SAME, Identity.OWN)
    update(filled, Update(ref, "id 1/ü", {"brief": "newer"}))
    update(there, Update(ref, "id 2/ü", {"brief": "mine"}))
    add(there, Add(ref, Source(BOUNDS, data=picture(77)), Metadata(), "id 4/ü", replace=True))
    delete(there, Delete(ref, ("id 5/ü",)))
    exported(filled, ALICE, tmp_path / "b", "shop")
    assert put_back(there, ALICE, tmp_path / "b").counts == {
        Outcome.ADDED: 1,
        Outcome.UPDATED: 1,
        Outcome.SAME: 5,
        Outcome.REFUSED: 1,
    }
    now = contents(there, ALICE, "shop")
    assert now["id 1/ü"] == contents(filled, ALICE, "shop")["id 1/ü"]
    assert "mine" in str(now["id 2/ü"])


def test_a_library_of_another_kind_is_refused(filled: Ports, tmp_path: Path) -> None:
    exported(filled, ALICE, tmp_path / "a")
    there = memory_ports(ALICE)
    ref = LibraryRef(ALICE.tenant, "shop", Kind.PRODUCT, Identity.OWN)
    add(there, Add(ref, Source(BOUNDS, data=picture(1)), Metadata(), "x"))
    with pytest.raises(InvalidArgument, match="shop is there, of kind product and identity own"):
        put_back(there, ALICE, tmp_path / "a")
    assert [one.name for one in there.catalog.libraries(ALICE.tenant)] == ["shop"]


def test_the_file_that_an_original_was_made_of_comes_along(tmp_path: Path) -> None:
    ports = memory_ports(ALICE)
    row = put(ports, "shop", 1, "a")
    ports.originals.put(source_key(row.object_key), b"II*\0as it came")
    exported(ports, ALICE, tmp_path / "a")
    there = memory_ports(ALICE)
    put_back(there, ALICE, tmp_path / "a")
    library = there.catalog.library(ALICE.tenant, "shop")
    assert library is not None
    found = there.catalog.picture(Key(library.uid, "a"))
    assert found is not None
    assert there.originals.get(source_key(found.object_key)) == b"II*\0as it came"
    with tarfile.open(tmp_path / "a/originals-00000.tar") as tar:
        assert tar.getnames() == ["000000.png", "000000.source.tiff"]


def test_a_manifest_knows_itself() -> None:
    manifest = Manifest("f", 1, "now", "us", (), 0, {}, ())
    assert manifest.sealed().is_whole()
    assert not manifest.is_whole()


def test_a_running_service_takes_an_archive_by_its_api(filled: Ports, memory: Ports, tmp_path: Path) -> None:
    """All that is said of pictures comes along; vectors are those that it makes, revisions and times its own."""

    def said(ports: Ports, name: str) -> dict[str, tuple[object, ...]]:
        library = ports.catalog.library(ALICE.tenant, name)
        assert library is not None
        rows = [row for row in ports.catalog.pictures(library.uid, None, 100) if row.live]
        return {
            row.key.id: (library.kind, library.identity, row.digest, row.metadata, ports.originals.get(row.object_key))
            for row in rows
        }

    exported(filled, ALICE, tmp_path / "a")
    assert put_back(memory, ALICE, tmp_path / "a", by_api=True).counts == {Outcome.ADDED: 12}
    for name, rows in (("shop", 8), ("same_hq", 4)):
        assert said(memory, name) == said(filled, name)
        assert len(said(memory, name)) == rows
    assert put_back(memory, ALICE, tmp_path / "a", by_api=True).counts == {Outcome.ADDED: 12}
    put_back(memory, ALICE, tmp_path / "a", "shop", rename="store", by_api=True)
    assert said(memory, "store") == said(filled, "shop")
    (tmp_path / "a.journal").unlink()
    assert put_back(memory, ALICE, tmp_path / "a", "shop", by_api=True).counts == {Outcome.SAME: 8}


def test_a_library_of_another_kind_is_refused_by_the_api(filled: Ports, memory: Ports, tmp_path: Path) -> None:
    exported(filled, ALICE, tmp_path / "a", "shop")
    for given, said in (
        ({"kind": "product", "identity": "own"}, "its kind is product"),
        (
            {"kind": "same", "identity": "picture"},
            "of kind same and identity picture; the archive's is of same and own",
        ),
    ):
        name = NativeCaller(ALICE).library(f"shop-{given['kind']}", **given)
        with pytest.raises(InvalidArgument, match=said):
            put_back(memory, ALICE, tmp_path / "a", "shop", rename=name, by_api=True)


def test_a_finished_archive_holds_nothing_that_only_an_unfinished_one_needs(filled: Ports, tmp_path: Path) -> None:
    exported(filled, ALICE, tmp_path / "a")
    named = {name for part in ArchiveSource(tmp_path / "a").manifest.parts for name in part.files}
    assert {file.name for file in (tmp_path / "a").iterdir()} == {*named, MANIFEST}
