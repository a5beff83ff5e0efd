"""Originals in a folder: modes, flushes, what a crash leaves behind."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lookalike.errors import SettingsError, Unavailable
from lookalike.stores.local.original_files import FolderStore


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    root = tmp_path / "data/originals"
    before = os.umask(0)
    try:
        FolderStore(root).put("library/a/1", b"x")
    finally:
        os.umask(before)
    (file,) = files(root)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_originals_are_there_when_opened_again(tmp_path: Path) -> None:
    FolderStore(tmp_path).put("library/a/1", b"x")
    assert FolderStore(tmp_path).get("library/a/1") == b"x"


def test_half_written_files_are_cleared_away(tmp_path: Path) -> None:
    FolderStore(tmp_path).put("library/a/1", b"x")
    (tmp_path / "incoming/left-over").write_bytes(b"half")
    FolderStore(tmp_path)
    assert len(files(tmp_path)) == 1


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "originals")
    for name in ("../../../x", "/x", "..", "a/../../x"):
        store.put(f"library/{name}/1", b"x")
    assert {path.relative_to(tmp_path).parts[0] for path in files(tmp_path)} == {"originals"}
    assert len(files(tmp_path)) == 4


def test_file_is_flushed_before_it_is_named_and_its_name_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else f"file of {os.fstat(descriptor).st_size}"
        steps.append(f"flush {kind}")
        fsync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        steps.append("move")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    store.put("library/a/1", b"x" * 1000)
    assert steps == ["flush file of 1000", "move", "flush folder"]
    store.remove(["library/a/1"])
    assert steps[3:] == ["flush folder"]


def test_failing_put_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)
    store.put("library/a/1", b"before")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        store.put("library/a/1", b"after")
    with pytest.raises(Unavailable, match="No space left"):
        store.put("library/b/1", b"other")
    monkeypatch.undo()
    assert [path.read_bytes() for path in files(tmp_path)] == [b"before"]
    assert store.get("library/a/1") == b"before"


def test_unreadable_file_is_no_missing_file(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("library/a/1", b"x")
    (file,) = files(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(Unavailable):
        store.get("library/a/1")
    with pytest.raises(Unavailable):
        store.remove(["library/a/1"])


def test_unusable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match="file"):
        FolderStore(tmp_path / "file")
