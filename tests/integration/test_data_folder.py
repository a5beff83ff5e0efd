"""The data folder: who may read it, and that one server at a time has it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.adapters.data import DataFolder
from lookalike.adapters.sqlite import SqliteCatalog
from lookalike.errors import SettingsError


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
    SqliteCatalog(made.catalog).close()
    assert DataFolder.existing(tmp_path / "data").catalog == made.catalog


@pytest.mark.parametrize("path", ["mistyped", "mistyped/data", "empty", "file", "file/data"])
def test_existing_makes_nothing(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir(mode=0o755)
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=f"^no data folder at {tmp_path / path}$"):
        DataFolder.existing(tmp_path / path)
    assert {entry.name for entry in tmp_path.rglob("*")} == {"empty", "file"}
    assert mode(tmp_path / "empty") == 0o755


def test_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(SettingsError, match="data"):
        DataFolder(tmp_path / "data")


def test_second_server_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.lock()
    with pytest.raises(SettingsError, match=str(os.getpid())):
        second.lock()
    SqliteCatalog(second.catalog).close()  # what only needs the catalog needs no lock
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
        "import sys, time; from pathlib import Path; from lookalike.adapters.data import DataFolder; "
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
    assert str(tmp_path / "typo") in first
    assert second == ""
