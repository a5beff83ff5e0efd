"""The data folder: who may read it, and that one server at a time has it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
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


def test_access_of_others_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    DataFolder(tmp_path / "data")
    assert mode(tmp_path / "data") == 0o700


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
