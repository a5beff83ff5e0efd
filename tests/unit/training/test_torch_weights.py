"""Legacy .pth files as PyTorch writes them are read, all other files refused."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lookalike.training import torch_weights

Writer = Callable[..., Path]


@dataclass
class Storage:
    """A storage, pickled as a persistent id; its numbers follow the pickles."""

    key: str
    numbers: np.ndarray[Any, Any]


#: PyTorch's name for a run of float32.
FloatStorage = type("FloatStorage", (), {"__module__": "torch"})


def rebuild_tensor() -> None:
    """Stand in for PyTorch's function, of which only the name is pickled."""


rebuild_tensor.__module__, rebuild_tensor.__qualname__ = "torch._utils", "_rebuild_tensor_v2"


class Tensor:
    """A tensor, pickled as PyTorch does it: a call that makes a view of a storage."""

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.view: tuple[Any, ...] = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild_tensor, self.view


class Pickler(pickle.Pickler):
    def persistent_id(self, thing: Any) -> Any:
        return (
            ("storage", FloatStorage, thing.key, "cpu", thing.numbers.size, None)
            if isinstance(thing, Storage)
            else None
        )


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """Write a file of the format under a name as PyTorch's; return its path."""
    modules: dict[str, dict[str, object]] = {
        "torch": {"FloatStorage": FloatStorage},
        "torch._utils": {"_rebuild_tensor_v2": rebuild_tensor},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)

    def written(
        tensors: object,
        storages: list[Storage],
        *,
        magic: int = torch_weights.MAGIC,
        little_endian: bool = True,
        cut: int = 0,
    ) -> Path:
        file = io.BytesIO()
        system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {}}
        for part in (magic, 1001, system, tensors, [storage.key for storage in storages]):
            Pickler(file, protocol=2).dump(part)
        for storage in storages:
            file.write(storage.numbers.size.to_bytes(8, "little") + storage.numbers.tobytes())
        return named(tmp_path, file.getvalue()[: -cut or None])

    return written


def named(folder: Path, data: bytes) -> Path:
    path = folder / f"weights-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    path.write_bytes(data)
    return path


def archived(folder: Path, tensors: object, storages: list[Storage], *, cut: int = 0) -> tuple[Path, str]:
    """Write an archive of the newer format; return its path and its SHA-256."""
    pickled, path = io.BytesIO(), folder / "weights.pt"
    Pickler(pickled, protocol=2).dump(tensors)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled.getvalue())
        for storage in storages:
            archive.writestr(f"archive/data/{storage.key}", storage.numbers.tobytes()[: -cut or None])
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def numbers(count: int) -> Storage:
    return Storage("7", np.arange(count, dtype="<f4"))


def test_a_tensor_is_read_through_its_strides(write: Writer) -> None:
    storage = numbers(24)
    path = write(OrderedDict(kernel=Tensor(storage, 0, (4, 2, 3), (1, 4, 8))), [storage])
    assert np.array_equal(torch_weights.read(path)["kernel"], storage.numbers.reshape(3, 2, 4).transpose(2, 1, 0))


def test_tensors_share_a_storage_at_their_offsets(write: Writer) -> None:
    storage = numbers(6)
    tensors = OrderedDict(first=Tensor(storage, 0, (2,), (1,)), second=Tensor(storage, 2, (2, 2), (2, 1)))
    read = torch_weights.read(write(tensors, [storage]))
    assert read["first"].tolist() == [0, 1]
    assert read["second"].tolist() == [[2, 3], [4, 5]]


def test_a_number_without_dimensions_is_read(write: Writer) -> None:
    storage = numbers(3)
    assert torch_weights.read(write(OrderedDict(count=Tensor(storage, 2, (), ())), [storage]))["count"] == 2


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (7,), (1,)), (5, (2,), (1,)), (0, (2, 2), (5, 1)), (0, (2,), (-1,)), (-1, (2,), (1,)), (0, (2, 3), (1,))],
)
def test_a_view_that_leaves_its_storage_is_refused(
    write: Writer, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    storage = numbers(6)
    with pytest.raises(torch_weights.WeightsError, match="storage 7"):
        torch_weights.read(write(OrderedDict(t=Tensor(storage, offset, shape, strides)), [storage]))


class Shell:
    """A program hidden in a pickle."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.witness),)


def test_a_pickle_that_runs_a_program_is_refused_and_runs_nothing(write: Writer, tmp_path: Path) -> None:
    witness = tmp_path / "it ran"
    with pytest.raises(torch_weights.WeightsError, match="mkdir"):
        torch_weights.read(write(OrderedDict(t=Shell(witness)), []))
    assert not witness.exists()


@pytest.mark.parametrize(
    "name", ["builtins\neval", "torch\nload", "torch._utils\n_rebuild_parameter", "torch\n__builtins__"]
)
def test_no_other_name_can_be_had(tmp_path: Path, name: str) -> None:
    with pytest.raises(torch_weights.WeightsError, match="no use for"):
        torch_weights.read(named(tmp_path, b"\x80\x02c" + name.encode() + b"\n."))


def test_a_file_that_ends_early_is_refused(write: Writer) -> None:
    storage = numbers(6)
    with pytest.raises(torch_weights.WeightsError, match="ends before"):
        torch_weights.read(write(OrderedDict(t=Tensor(storage, 0, (6,), (1,))), [storage], cut=4))


@pytest.mark.parametrize("facts", [{"magic": 1}, {"little_endian": False}])
def test_another_format_is_refused(write: Writer, facts: dict[str, Any]) -> None:
    with pytest.raises(torch_weights.WeightsError, match=r"legacy|big-endian"):
        torch_weights.read(write(OrderedDict(), [], **facts))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a zip", b"\x80\x02", bytes(100)])
def test_garbage_is_refused_with_one_line(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(torch_weights.WeightsError) as refused:
        torch_weights.read(named(tmp_path, data))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    for name in ("weights-00000000.pth", "weights.pth"):
        path = tmp_path / name
        path.write_bytes(b"anything")
        with pytest.raises(torch_weights.WeightsError, match="SHA-256"):
            torch_weights.read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(torch_weights.WeightsError, match="No such file"):
        torch_weights.read(tmp_path / "weights-00000000.pth")


@pytest.mark.usefixtures("write")
def test_an_archive_is_read(tmp_path: Path) -> None:
    storage = numbers(6)
    tensors = OrderedDict(first=Tensor(storage, 0, (2,), (1,)), second=Tensor(storage, 2, (2, 2), (2, 1)))
    read = torch_weights.read_archive(*archived(tmp_path, tensors, [storage]))
    assert read["first"].tolist() == [0, 1]
    assert read["second"].tolist() == [[2, 3], [4, 5]]


@pytest.mark.usefixtures("write")
@pytest.mark.parametrize("cut", [4, 24])
def test_an_archive_that_ends_early_is_refused(tmp_path: Path, cut: int) -> None:
    storage = numbers(6)
    tensors = OrderedDict(t=Tensor(storage, 0, (6,), (1,)))
    with pytest.raises(torch_weights.WeightsError, match=r"not a \.pt file"):
        torch_weights.read_archive(*archived(tmp_path, tensors, [storage], cut=cut))


def test_an_archive_that_runs_a_program_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    witness = tmp_path / "it ran"
    with pytest.raises(torch_weights.WeightsError, match="mkdir"):
        torch_weights.read_archive(*archived(tmp_path, OrderedDict(t=Shell(witness)), []))
    assert not witness.exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a zip", bytes(100)])
def test_an_archive_that_is_none_is_refused_with_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(data)
    with pytest.raises(torch_weights.WeightsError, match=r"not a \.pt file") as refused:
        torch_weights.read_archive(path, hashlib.sha256(data).hexdigest())
    assert "\n" not in str(refused.value)


def test_an_archive_of_another_digest_or_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with pytest.raises(torch_weights.WeightsError, match="No such file"):
        torch_weights.read_archive(path, "0" * 64)
    path.write_bytes(b"anything")
    with pytest.raises(torch_weights.WeightsError, match="SHA-256"):
        torch_weights.read_archive(path, "0" * 64)
