"""Rows that have been damaged: left out and named, while everything else starts and works."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike import bootstrap
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import DIMENSION, Key, Metadata, Picture, State, sign_of
from lookalike.domain.upload import Holding, Upload
from lookalike.errors import PictureNotFound, SettingsError, Unavailable
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.applications import create_application
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import list_pictures, picture_in, remove_group
from lookalike.service.image_source import Source
from lookalike.service.purge import purge
from lookalike.service.search import Search, search
from lookalike.service.update import Update, update
from lookalike.settings import Settings
from lookalike.stores.local.picture_row import COLUMNS
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.contract.rows import contents, random_vectors, row
from tests.support.fakes import SetClock, TinyEmbedder, TinyVerifier
from tests.support.photographs import photograph, png

BOUNDS = Bounds(max_bytes=8 << 20, min_side=1, max_side=5000, max_pixels=1 << 24, formats=frozenset({"JPEG", "PNG"}))
LIBRARY_REF = LibraryRef("tenant", "similar", Kind.SIMILAR)
DAY = 86_400_000


class Embedder(TinyEmbedder):
    def codebook(self, kind: Kind) -> None:
        """None, so vectors are scanned exactly."""


def source(name: str) -> Source:
    return Source(BOUNDS, data=png(photograph(name, 100)))


def service(data: Path, **overrides: Any) -> Ports:
    return bootstrap.build(Settings(data=data), embedder=Embedder(), verifier=TinyVerifier(), **overrides)


def found(ports: Ports, name: str) -> set[str]:
    return {match.candidate.metadata.brief for match in search(ports, Search(LIBRARY_REF, source(name))).matches}


def halves(value: float) -> bytes:
    return np.full(DIMENSION, value, np.float16).tobytes()


def execute(catalog: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(catalog)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


#: What a row may have become, and what is said of it. ``old``: also where the row is older than checksums.
DAMAGES: dict[str, tuple[str, object, str, bool]] = {
    "unknown state": ("state", "odd", "unknown state", True),
    "short vector": ("vector", b"\1\2\3", "a vector of another length", True),
    "no vector": ("vector", b"", "a vector of another length", True),
    "nan": ("vector", halves(np.nan), "a vector that is not finite", True),
    "infinite": ("vector", halves(-np.inf), "a vector that is not finite", True),
    "random vector": ("vector", random_vectors(1, 7).tobytes(), "wrong checksum", False),
    "tags no json": ("tags", "1, 2", "tags that are not a list of texts", True),
    "tags no list": ("tags", '{"a": 1}', "tags that are not a list of texts", True),
    "tags no texts": ("tags", "[[1]]", "tags that are not a list of texts", True),
    "deep tags": ("tags", "[" * 100_000, "tags that are not a list of texts", True),
    "text not utf-8": ("brief", b"\x1b[31m\xff\xfe", "text that is not UTF-8", True),
    "another text": ("brief", "chelsfa.png", "wrong checksum", False),
    "no digest": ("file_digest", "0123\x1b", "no digest", True),
    "another model": ("model", "tinz", "wrong checksum", False),
    "another revision": ("revision", 7, "wrong checksum", False),
    "negative revision": ("revision", -5, "no revision", True),
    "greatest revision": ("revision", (1 << 63) - 1, "no revision", True),
    "revision that none could follow": ("revision", (1 << 62) - 1, "wrong checksum", False),
    "negative time": ("added", -5, "no revision", True),
    "another time": ("added", 7, "wrong checksum", False),
}


def damage(data: Path, key: Key, what: str, *, old: bool = False) -> None:
    column, value, _, _ = DAMAGES[what]
    cast = "CAST(? AS TEXT)" if what == "text not utf-8" else "?"
    checksum = ", checksum = NULL" if old else ""
    execute(
        data / "catalog.db",
        f"UPDATE pictures SET {column} = {cast}{checksum} WHERE library = ? AND id = ?",  # noqa: S608
        value,
        key.library,
        key.id,
    )


@pytest.fixture
def damaged(tmp_path: Path) -> Callable[..., tuple[Path, Picture]]:
    """Makes a service of two pictures, and damages one of them."""

    def make(what: str, *, old: bool = False) -> tuple[Path, Picture]:
        data = tmp_path / "data"
        with closing(service(data)) as ports:
            one = add(ports, Add(LIBRARY_REF, source("chelsea.png"), metadata=Metadata(brief="chelsea.png")))
            add(ports, Add(LIBRARY_REF, source("coffee.png"), metadata=Metadata(brief="coffee.png")))
        damage(data, one.key, what, old=old)
        return data, one

    return make


@pytest.mark.parametrize(
    ("what", "old"), [*((what, False) for what in DAMAGES), *((what, True) for what in DAMAGES if DAMAGES[what][3])]
)
def test_a_damaged_row_is_left_out_and_named(
    damaged: Callable[..., tuple[Path, Picture]], log_lines: Callable[[], list[dict[str, Any]]], what: str, old: bool
) -> None:
    reason = DAMAGES[what][2]
    data, one = damaged(what, old=old)
    name = f"{one.key.library}/{one.key.id}"
    with closing(service(data)) as ports:
        assert found(ports, "coffee.png") == {"coffee.png"}
        assert found(ports, "chelsea.png") == {"coffee.png"}, "not by its digest either"
        assert ports.index.count(one.key.library) == 1
        (problem,) = ports.problems()
        assert problem == f"damaged pictures are left out (1): {name} ({reason})"
        (line,) = [line for line in log_lines() if line["level"] == "ERROR"]
        assert (name in line["message"], reason in line["message"], line["message"].isprintable()) == (True,) * 3


@pytest.mark.parametrize("what", DAMAGES)
class TestCalls:
    def test_it_is_not_listed_nor_shown_nor_changed(
        self, damaged: Callable[..., tuple[Path, Picture]], what: str
    ) -> None:
        data, one = damaged(what)
        with closing(service(data)) as ports:
            (library,) = ports.catalog.libraries("tenant")
            assert [row.metadata.brief for row in list_pictures(ports, library, None, 10).pictures] == ["coffee.png"]
            with pytest.raises(PictureNotFound):
                picture_in(ports, library, sign_of(one.digest))
            for which in (source("chelsea.png"), sign_of(one.digest)):
                with pytest.raises(PictureNotFound):
                    update(ports, Update(LIBRARY_REF, which, change={"brief": "new"}))

    def test_adding_it_again_mends_it(self, damaged: Callable[..., tuple[Path, Picture]], what: str) -> None:
        data, one = damaged(what)
        with closing(service(data)) as ports:
            again = add(ports, Add(LIBRARY_REF, source("chelsea.png"), metadata=Metadata(brief="again")))
            assert again.key == one.key
            assert one.revision < again.revision <= ports.clock(), "its revision is the clock's"
            assert found(ports, "chelsea.png") == {"again", "coffee.png"}
            assert ports.problems() == []
        with closing(service(data)) as ports:
            assert found(ports, "chelsea.png") == {"again", "coffee.png"}
            assert ports.problems() == []

    @pytest.mark.parametrize("by", ["sign", "picture"])
    def test_deleting_it_takes_it_away_for_good(
        self, damaged: Callable[..., tuple[Path, Picture]], what: str, by: str
    ) -> None:
        data, one = damaged(what)
        clock = SetClock(one.revision + 1)
        with closing(service(data, clock=clock)) as ports:
            assert (
                delete(ports, Delete(LIBRARY_REF, (sign_of(one.digest),) if by == "sign" else source("chelsea.png")))
                == 1
            )
            assert ports.problems() == []
            clock.now += 8 * DAY
            assert purge(ports, lambda: True).pictures == 1
            assert ports.catalog.picture(one.key) is None

    def test_it_goes_with_its_library(self, damaged: Callable[..., tuple[Path, Picture]], what: str) -> None:
        data, one = damaged(what)
        clock = SetClock(one.revision + 1)
        with closing(service(data, clock=clock)) as ports:
            remove_group(ports, "tenant", "similar")
            clock.now += DAY
            purge(ports, lambda: True)
            assert ports.catalog.pictures(one.key.library, None, 10) == []
            assert ports.catalog.removed_libraries(clock.now, 10) == []
            assert ports.problems() == []


def test_a_damaged_row_of_a_deleted_picture_is_purged(damaged: Callable[..., tuple[Path, Picture]]) -> None:
    data, one = damaged("another text")
    clock = SetClock(one.revision + 1)
    with closing(service(data, clock=clock)) as ports:
        delete(ports, Delete(LIBRARY_REF, (sign_of(one.digest),)))
    damage(data, one.key, "nan")
    clock.now += 8 * DAY
    with closing(service(data, clock=clock)) as ports:
        assert purge(ports, lambda: True).pictures == 1
        assert ports.problems() == []


def test_a_row_of_an_unknown_kind_is_named_though_nobody_looks_for_it(tmp_path: Path) -> None:
    with closing(service(tmp_path / "data")) as ports:
        one = add(ports, Add(LIBRARY_REF, source("chelsea.png")))
    execute(tmp_path / "data/catalog.db", "UPDATE pictures SET kind = 'sjmilar'")
    with closing(service(tmp_path / "data")) as ports:
        assert ports.problems() == [f"damaged pictures are left out (1): {one.key.library}/{one.key.id} (unknown kind)"]


def test_of_many_damaged_rows_the_first_are_named_and_all_counted(
    tmp_path: Path, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    with closing(SqliteStores(tmp_path / "catalog.db")) as stores:
        for number in range(150):
            stores.catalog.put(row("library", f"{number:03}"), None)
        with closing(sqlite3.connect(tmp_path / "catalog.db")) as connection, connection:
            connection.execute("UPDATE pictures SET vector = x'00'")
        assert [one for batch in stores.catalog.scan(Kind.SIMILAR) for one in batch] == []
        (problem,) = stores.problems()
        assert problem.startswith("damaged pictures are left out (150): library/000 (a vector of another length), ")
        assert problem.endswith(" and 147 more")
        assert len(log_lines()) == 100


def test_rows_written_before_checksums_are_as_good_as_ever_and_get_one_when_they_are_written(tmp_path: Path) -> None:
    with closing(SqliteStores(tmp_path / "catalog.db")) as stores:
        one = row("library", "a", brief="猫", tags=("1",), vector=random_vectors(1, 3)[0])
        stores.catalog.put(one, None)
        execute(tmp_path / "catalog.db", "UPDATE pictures SET checksum = NULL")
        assert contents(stores.catalog.picture(one.key)) == contents(one)
        assert [contents(found) for batch in stores.catalog.scan(Kind.SIMILAR) for found in batch] == [contents(one)]
        stores.catalog.put(one.but(revision=2), 1)
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as connection:
        assert connection.execute("SELECT checksum IS NOT NULL FROM pictures").fetchall() == [(1,)]


def test_every_column_is_under_the_checksum(tmp_path: Path) -> None:
    with closing(SqliteStores(tmp_path / "catalog.db")) as stores:
        for column in set(COLUMNS.split(", ")) - {"checksum", "file_size"}:
            one = row("library", f"row-{column}", brief="a", label="b", desc="{}", deleted_at=5)
            stores.catalog.put(one, None)
            others = {"kind": "same", "state": "deleted", "tags": '["1"]', "vector": random_vectors(1, 5).tobytes()}
            integers = ("revision", "added", "sign_version", "deleted_at")
            other = others.get(column, 3 if column in integers else "f" * 64)
            execute(tmp_path / "catalog.db", f"UPDATE pictures SET {column} = ? WHERE id = ?", other, one.key.id)  # noqa: S608
            library = "f" * 64 if column == "library" else "library"
            changed = stores.catalog.picture(Key(library, "f" * 64 if column == "id" else one.key.id))
            assert changed is not None
            assert changed.state is State.DAMAGED, column


def test_a_page_that_cannot_be_read_takes_only_its_own_rows_away(
    tmp_path: Path, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    path = tmp_path / "catalog.db"
    with closing(SqliteStores(path)) as stores:
        for number in range(200):
            stores.catalog.put(row("library", f"{number:03}"), None)
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    content = path.read_bytes()
    page = content.index(row("library", "100").file_digest.encode()) // size
    path.write_bytes(content[: page * size] + b"\xff" * 100 + content[page * size + 100 :])
    with closing(SqliteStores(path)) as stores:
        ids = [one.key.id for batch in stores.catalog.scan(Kind.SIMILAR) for one in batch]
        lost = [f"{number:03}" for number in range(200) if f"{number:03}" not in ids]
        assert 1 <= len(lost) <= 6
        assert "100" in lost
        damage, named = stores.problems()
        assert damage == "catalog.db is damaged (database disk image is malformed); restore it from a backup"
        assert f"damaged pictures are left out ({len(lost)}): library/{lost[0]} (unreadable page)" in named
        with pytest.raises(Unavailable, match="malformed"):
            stores.catalog.picture(Key("library", "100"))
        assert stores.catalog.picture(Key("library", ids[0])) is not None
        stores.catalog.put(row("library", "new"), None)
        assert all(line["message"].isprintable() for line in log_lines())


def test_an_application_whose_limits_are_lost_may_not_call_and_the_others_may(tmp_path: Path) -> None:
    with closing(service(tmp_path / "data")) as ports:
        shop, other = (create_application(ports.applications, ports.clock, name) for name in ("shop", "other"))
    execute(tmp_path / "data/catalog.db", "UPDATE applications SET policy = '{' WHERE name = 'shop'")
    with closing(service(tmp_path / "data")) as ports:
        assert ports.applications.applications() == [other]
        assert ports.applications.application(shop.access_key) is None
        assert ports.applications.application_by_id(shop.app_id) is None
        assert ports.problems() == ["damaged applications are left out (1): shop (unreadable)"]


def test_a_library_that_cannot_be_read_is_left_out_and_the_others_work(tmp_path: Path) -> None:
    other = LibraryRef("tenant", "product", Kind.PRODUCT)
    with closing(service(tmp_path / "data")) as ports:
        add(ports, Add(LIBRARY_REF, source("chelsea.png"), metadata=Metadata(brief="chelsea.png")))
        add(ports, Add(other, source("chelsea.png"), metadata=Metadata(brief="chelsea.png")))
    execute(tmp_path / "data/catalog.db", "UPDATE libraries SET identity = 'odd' WHERE name = 'product'")
    with closing(service(tmp_path / "data")) as ports:
        assert [library.name for library in ports.catalog.libraries("tenant")] == ["similar"]
        assert ports.problems() == ["damaged libraries are left out (1): product (unreadable)"]
        assert found(ports, "chelsea.png") == {"chelsea.png"}
        with pytest.raises(Unavailable):
            add(ports, Add(other, source("coffee.png")))


@pytest.mark.parametrize(
    "bad", [b"\xff\xfe", b"a\x1b[31mb", b"a\nb", b""], ids=["not utf-8", "escape", "line", "empty"]
)
@pytest.mark.parametrize("column", ["access_key", "secret_key", "app_id", "tenant", "name"])
def test_an_application_any_of_whose_texts_is_damaged_may_not_call_and_is_named_in_one_line(
    tmp_path: Path, log_lines: Callable[[], list[dict[str, Any]]], column: str, bad: bytes
) -> None:
    with closing(service(tmp_path / "data")) as ports:
        shop, other = (create_application(ports.applications, ports.clock, name) for name in ("shop", "other"))
    changed = f"UPDATE applications SET {column} = CAST(? AS TEXT) WHERE name = 'shop'"  # noqa: S608
    execute(tmp_path / "data/catalog.db", changed, bad)
    with closing(service(tmp_path / "data")) as ports:
        assert ports.applications.applications() == [other]
        assert ports.applications.application(shop.access_key) is None
        assert ports.applications.application_by_id(shop.app_id) is None
        (problem,) = ports.problems()
        assert problem.startswith("damaged applications are left out (1): ")
        assert problem.isprintable()
        assert all(line["message"].isprintable() for line in log_lines())


@pytest.mark.parametrize(
    "policy",
    [
        "[]",
        "[" * 100_000,
        '{"kind": "odd"}',
        '{"per_second": "5"}',
        '{"per_day": 0}',
        '{"in_total": true}',
        '{"networks": ["here"]}',
        '{"networks": [5]}',
        '{"odd": 1}',
        b"\xff",
    ],
)
def test_an_application_whose_limits_are_damaged_may_not_call(tmp_path: Path, policy: str | bytes) -> None:
    with closing(service(tmp_path / "data")) as ports:
        shop = create_application(ports.applications, ports.clock, "shop")
    execute(tmp_path / "data/catalog.db", "UPDATE applications SET policy = CAST(? AS TEXT)", policy)
    with closing(service(tmp_path / "data")) as ports:
        assert ports.applications.application(shop.access_key) is None
        assert ports.problems() == ["damaged applications are left out (1): shop (unreadable)"]


@pytest.mark.parametrize("column", ["tenant", "name", "uid"])
def test_a_library_whose_texts_are_damaged_is_left_out(tmp_path: Path, column: str) -> None:
    with closing(SqliteStores(tmp_path / "catalog.db")) as stores:
        for name in ("one", "other"):
            stores.catalog.create_library(Library("tenant", name, f"uid-{name}", Kind.SIMILAR, Identity.PICTURE, 1))
        changed = f"UPDATE libraries SET {column} = CAST(x'ff' AS TEXT) WHERE name = 'one'"  # noqa: S608
        execute(tmp_path / "catalog.db", changed)
        assert [library.name for library in stores.catalog.libraries("tenant")] == ["other"]


def test_a_removed_library_whose_name_is_damaged_keeps_no_other_from_being_swept(tmp_path: Path) -> None:
    with closing(SqliteStores(tmp_path / "catalog.db")) as stores:
        for name in ("one", "other"):
            library = Library("tenant", name, f"uid-{name}", Kind.SIMILAR, Identity.PICTURE, 1)
            stores.catalog.create_library(library)
            stores.catalog.remove_library(library, 5)
        execute(tmp_path / "catalog.db", "UPDATE removed_libraries SET uid = CAST(x'ff' AS TEXT) WHERE uid = 'uid-one'")
        assert [removed.uid for removed in stores.catalog.removed_libraries(9, 10)] == ["uid-other"]
        assert stores.problems() == ["damaged removed_libraries are left out (1): \\udcff (unreadable)"]


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", b"odd"), ("sequencer", b"\xff"), ("leaves", b"{"), ("leaves", b"[" * 100_000), ("id", b"\xff")],
)
def test_what_a_damaged_record_of_an_upload_holds_is_not_known_so_nothing_is_taken_away(
    tmp_path: Path, column: str, value: bytes
) -> None:
    upload = Upload("bucket/uploads/a.jpg", "1", Holding(Key("library", "a"), 1, ""))
    with closing(SqliteStores(tmp_path / "catalog.db")) as stores:
        stores.uploads.save_upload(upload, None)
        execute(tmp_path / "catalog.db", f"UPDATE uploads SET {column} = CAST(? AS TEXT)", value)  # noqa: S608
        with pytest.raises(Unavailable, match=r"the record of the upload bucket/uploads/a\.jpg is damaged"):
            stores.uploads.upload(upload.source)
        assert stores.problems() == ["damaged uploads are left out (1): bucket/uploads/a.jpg (unreadable)"]


@pytest.mark.parametrize(("count", "given"), [(-5, 3), ((1 << 63) - 1, 0)])
def test_a_damaged_count_keeps_its_limit_and_can_be_counted_on_from(tmp_path: Path, count: int, given: int) -> None:
    with closing(SqliteStores(tmp_path / "catalog.db")) as stores:
        stores.counters.take("calls", 1, None)
        execute(tmp_path / "catalog.db", "UPDATE counts SET count = ?", count)
        assert stores.counters.take("calls", 7, 3) == given
        assert stores.counters.take("calls", 1, None) == 1


def test_pictures_whose_libraries_are_lost_are_counted_and_those_libraries_named(tmp_path: Path) -> None:
    with closing(service(tmp_path / "data")) as ports:
        create_application(ports.applications, ports.clock, "shop")
        one = add(ports, Add(LIBRARY_REF, source("chelsea.png")))
        add(ports, Add(LIBRARY_REF, source("coffee.png")))
        add(ports, Add(LibraryRef("tenant", "product", Kind.PRODUCT), source("coffee.png")))
    execute(tmp_path / "data/catalog.db", "DELETE FROM libraries WHERE name = 'similar'")
    with closing(service(tmp_path / "data")) as ports:
        (problem,) = ports.problems()
        assert problem == (
            f"2 pictures cannot be reached, as their libraries are not in the catalog ({one.key.library}); "
            "restore it from a backup"
        )


def test_pictures_that_no_application_can_reach_are_counted_and_their_tenants_named(tmp_path: Path) -> None:
    with closing(service(tmp_path / "data")) as ports:
        shop = create_application(ports.applications, ports.clock, "shop", "tenant")
        for name in ("chelsea.png", "coffee.png"):
            add(ports, Add(LIBRARY_REF, source(name)))
        assert ports.stores.unreachable() == []
        ports.applications.remove_application(shop.access_key)
        (line,) = ports.stores.unreachable()
        assert line.startswith("there are 2 pictures and no application that can reach them; ")
        assert line.endswith("Tenants: tenant")
        create_application(ports.applications, ports.clock, "again", "tenant")
        assert ports.stores.unreachable() == []


@pytest.mark.parametrize("table", ["applications", "maps", "counts"])
def test_a_catalog_that_has_lost_a_table_is_refused_in_one_line(tmp_path: Path, table: str) -> None:
    path = tmp_path / "catalog.db"
    SqliteStores(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DROP TABLE {table}")
    with pytest.raises(SettingsError, match=rf"catalog\.db: has lost its table {table}; restore it from a backup$"):
        SqliteStores(path)


def test_a_catalog_that_is_malformed_is_refused_with_what_can_be_done(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    SqliteStores(path).close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4000 + path.read_bytes()[4100:])
    with pytest.raises(SettingsError, match=r"malformed\); restore it from a backup$"):
        SqliteStores(path)
