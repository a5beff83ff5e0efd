"""The data folder: who may read it, and that one server at a time has it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lookalike import bootstrap
from lookalike.domain.library import Kind
from lookalike.errors import SettingsError
from lookalike.ports import Ports
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.contract.rows import application, row
from tests.support.fakes import TinyEmbedder, TinyVerifier


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    DataFolder(tmp_path / "a/b")
    assert mode(tmp_path / "a/b") == 0o700


@pytest.mark.parametrize("held", [(), ("catalog.db",), ("server.lock",), ("catalog.db", "originals", "notes")])
def test_access_of_others_is_taken_away(tmp_path: Path, held: tuple[str, ...]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in held:
        (data / name).write_text("something")
    data.chmod(0o755)
    DataFolder(data)
    assert mode(data) == 0o700


@pytest.mark.parametrize("opened", [DataFolder, DataFolder.existing])
def test_folder_of_anything_else_is_refused_and_left_as_it_is(
    tmp_path: Path, opened: Callable[[Path], DataFolder]
) -> None:
    (tmp_path / "home/somebody").mkdir(parents=True)
    (tmp_path / "home").chmod(0o1777)
    with pytest.raises(SettingsError, match=str(tmp_path / "home")):
        opened(tmp_path / "home")
    assert mode(tmp_path / "home") == 0o1777
    assert list((tmp_path / "home").iterdir()) == [tmp_path / "home/somebody"]


def test_existing_folder_is_opened(tmp_path: Path) -> None:
    made = DataFolder(tmp_path / "data")
    SqliteStores(made.catalog).close()
    assert DataFolder.existing(tmp_path / "data").catalog == made.catalog


@pytest.mark.parametrize("path", ["mistyped", "mistyped/data", "empty", "file", "file/data"])
def test_existing_makes_nothing(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir(mode=0o755)
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=f"^no data folder at {tmp_path / path}$"):
        DataFolder.existing(tmp_path / path)
    assert {entry.name for entry in tmp_path.rglob("*")} == {"empty", "file"}
    assert mode(tmp_path / "empty") == 0o755


def service(data: Path) -> Ports:
    return bootstrap.build(Settings(data=data), embedder=Embedder(), verifier=TinyVerifier())


class Embedder(TinyEmbedder):
    def codebook(self, kind: Kind) -> None:
        """None, so vectors are scanned exactly."""


def with_a_picture(data: Path) -> None:
    """As a service that holds a picture leaves its folder."""
    with closing(service(data)) as ports:
        ports.catalog.put(picture := row("library", "a"), None)
        ports.originals.put(picture.object_key, b"original")


def with_keys(data: Path) -> None:
    """As ``keys create`` leaves it."""
    with bootstrap.applications(Settings(data=data), make=True) as applications:
        applications.save_application(application("shop"))


def everything(data: Path) -> dict[Path, tuple[int, bytes]]:
    """All files and folders, with their modes and contents."""
    found = {path: path.read_bytes() if path.is_file() else b"" for path in [data, *data.rglob("*")]}
    return {path: (mode(path), content) for path, content in found.items()}


def lose(data: Path) -> None:
    (data / "catalog.db").unlink()


def empty(data: Path) -> None:
    (data / "catalog.db").write_bytes(b"")


def restore_all_but_the_catalog(data: Path) -> None:
    for name in ("catalog.db", "server.lock"):
        (data / name).unlink(missing_ok=True)


def restore_the_log_alone(data: Path) -> None:
    shutil.rmtree(data)
    data.mkdir(mode=0o700)
    (data / "catalog.db-wal").write_bytes(b"log" * 100)


def empty_beside_its_log(data: Path) -> None:
    restore_the_log_alone(data)
    empty(data)


LOSSES = (lose, empty, restore_all_but_the_catalog, restore_the_log_alone, empty_beside_its_log)


def serve(data: Path) -> object:
    return service(data)


def make_keys(data: Path) -> object:
    with_keys(data)
    return None


def list_keys(data: Path) -> object:
    with bootstrap.applications(Settings(data=data)) as applications:
        return applications.applications()


@pytest.mark.parametrize("used", [with_a_picture, with_keys])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("opened", [serve, make_keys, list_keys])
def test_a_folder_that_has_lost_its_catalog_is_refused_and_left_as_it_is(
    tmp_path: Path, used: Callable[[Path], None], loss: Callable[[Path], None], opened: Callable[[Path], object]
) -> None:
    data = tmp_path / "data"
    used(data)
    loss(data)
    before = everything(data)
    with pytest.raises(SettingsError, match=r"catalog\.db is (missing|empty), and .* there: .* Restore catalog\.db"):
        opened(data)
    assert everything(data) == before


@pytest.mark.parametrize("opened", [serve, make_keys])
def test_a_catalog_without_the_log_that_holds_all_of_it_is_refused(
    tmp_path: Path, opened: Callable[[Path], object]
) -> None:
    """Whoever copies a folder in use and leaves the log out has a file of one page."""
    with closing(service(tmp_path / "running")) as ports:
        ports.applications.save_application(application("shop"))
        shutil.copytree(tmp_path / "running", tmp_path / "data")
    (tmp_path / "data/catalog.db-wal").unlink()
    (tmp_path / "data/catalog.db-shm").unlink()
    before = everything(tmp_path / "data")
    with pytest.raises(SettingsError, match=r"catalog\.db: holds nothing, although the folder has been in use"):
        opened(tmp_path / "data")
    after = everything(tmp_path / "data")
    after.pop(tmp_path / "data/server.lock")
    before.pop(tmp_path / "data/server.lock")
    assert after == before


def remove(originals: Path) -> None:
    shutil.rmtree(originals)


def mount_nothing(originals: Path) -> None:
    shutil.rmtree(originals)
    (originals / "lost+found").mkdir(parents=True)


@pytest.mark.parametrize("loss", [remove, mount_nothing])
def test_a_catalog_whose_originals_are_lost_is_refused_and_left_as_it_is(
    tmp_path: Path, loss: Callable[[Path], None]
) -> None:
    data = tmp_path / "data"
    with_a_picture(data)
    loss(data / "originals")
    list_keys(data)  # it needs none
    before = everything(data)
    with pytest.raises(SettingsError, match=r"catalog\.db holds pictures, and originals is missing or empty"):
        serve(data)
    before.pop(data / "server.lock")
    after = everything(data)
    after.pop(data / "server.lock")
    assert after == before


def test_a_catalog_of_keys_alone_needs_no_originals(tmp_path: Path) -> None:
    """As the version before left it."""
    with_keys(tmp_path / "data")
    shutil.rmtree(tmp_path / "data/originals")
    with closing(service(tmp_path / "data")) as ports:
        assert ports.applications.applications() == [application("shop")]


#: Runs until its so-many-th step of making a data folder: what reaches the disk, and what SQLite does.
KILLED = """
import os, sqlite3, sys
from pathlib import Path
from lookalike import bootstrap
from lookalike.settings import Settings
steps, data = int(sys.argv[1]), sys.argv[2]

def trace(event, arguments):
    global steps
    if event in ("open", "os.mkdir", "os.chmod", "sqlite3.connect") and data in str(arguments[0]):
        count()

def count(_statement=None):
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), 9)

class Traced(sqlite3.Connection):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.set_trace_callback(count)

connect = sqlite3.connect
sqlite3.connect = lambda *arguments, **options: connect(*arguments, **options, factory=Traced)
from tests.support.fakes import TinyVerifier
from tests.integration.test_data_folder import Embedder
sys.addaudithook(trace)
bootstrap.build(Settings(data=Path(data)), embedder=Embedder(), verifier=TinyVerifier()).close()
"""


@pytest.mark.parametrize("steps", [*range(0, 40, 3), 60, 200, 10_000])
def test_a_first_start_killed_at_any_step_leaves_a_folder_that_opens(tmp_path: Path, steps: int) -> None:
    data = tmp_path / "data"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(steps), str(data)],
        check=False,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == (0 if steps == 10_000 else -9), done.stderr
    with closing(service(data)) as ports:
        ports.applications.save_application(application("shop"))
    assert list_keys(data) == [application("shop")]


@pytest.mark.parametrize("left", [(), ("server.lock",), ("server.lock", "catalog.db"), ("lost+found",)])
def test_a_folder_in_which_nothing_has_been_made_yet_is_a_new_one(tmp_path: Path, left: tuple[str, ...]) -> None:
    for name in left:
        (tmp_path / name).touch()
    with closing(service(tmp_path)) as ports:
        assert ports.applications.applications() == []


def test_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(SettingsError, match="data"):
        DataFolder(tmp_path / "data")


def test_second_server_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.lock()
    with pytest.raises(SettingsError, match=str(os.getpid())):
        second.lock()
    SqliteStores(second.catalog).close()  # what only needs the catalog needs no lock
    first.unlock()
    second.lock()
    with pytest.raises(SettingsError):
        first.lock()
    second.unlock()
    second.unlock()


def make_directory(lock: Path) -> None:
    lock.mkdir()


def make_dangling(lock: Path) -> None:
    lock.symlink_to("nowhere/lock")


def make_device(lock: Path) -> None:
    lock.symlink_to("/dev/null")  # opens, and cannot be cut to length


@pytest.mark.parametrize("make", [make_directory, make_dangling, make_device])
def test_lock_that_cannot_be_used_is_said_in_one_line(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "server.lock")
    with pytest.raises(SettingsError, match=rf"^{tmp_path}/server\.lock: cannot be (opened|locked) \([\w ]+\)$"):
        DataFolder(tmp_path).lock()


def test_lock_of_another_user_is_said_in_one_line(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    (tmp_path / "server.lock").touch(mode=0o000)
    root = os.geteuid() == 0
    if root:  # who may open anything
        os.seteuid(65534)
    try:
        with pytest.raises(SettingsError, match=r"server\.lock: cannot be opened \(Permission denied\)$"):
            folder.lock()
    finally:
        if root:
            os.seteuid(0)


def test_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from lookalike.stores.local.data_folder import DataFolder; "
        "DataFolder(Path(sys.argv[1])).lock(); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"locked\n"
        folder = DataFolder(tmp_path)
        with pytest.raises(SettingsError, match=f"process {server.pid}"):
            folder.lock()
        server.kill()
    folder.lock()
    folder.unlock()


def test_making_keys_says_that_it_has_made_the_folder(tmp_path: Path) -> None:
    """A typo in the folder's name must not pass for success."""
    command = [sys.executable, "-m", "lookalike", "keys", "create", "--data", str(tmp_path / "typo"), "--name"]
    first, second = (
        subprocess.run([*command, name], capture_output=True, text=True, check=True).stderr for name in ("one", "two")
    )
    made = f"made the data folder {tmp_path / 'typo'}"
    assert made in first
    assert made not in second
