"""Reads PyTorch's files of weights without PyTorch, and without trusting them.

The legacy format (.pth) is five pickles in a row (magic number, protocol version, facts about the system that wrote it, the
dictionary of tensors, the list of storage keys), then for every key in that order an int64 count and the raw
little-endian numbers. See ``_legacy_save`` in PyTorch's ``torch/serialization.py``. The newer one (.pt) is a ZIP archive
of one pickle, the dictionary of tensors, and one file of raw numbers a storage; see ``_save`` there.

A pickle is a program. The unpickler here allows dictionaries of tensor descriptions and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

#: Types of storages, by PyTorch's name. All numbers are little-endian.
DTYPES = {
    "HalfStorage": np.dtype("<f2"),
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "IntStorage": np.dtype("<i4"),
    "LongStorage": np.dtype("<i8"),
}

Weights = dict[str, NDArray[Any]]
"""Arrays by the names of layers."""


class WeightsError(Exception):
    """The file cannot be used as weights; the message is one line."""


@dataclass(frozen=True, slots=True)
class _Storage:
    """A run of numbers that tensors are views of."""

    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage; offset and strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view_of(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return the tensor as an array, copied from its storage's numbers. Raises WeightsError."""
        if len(self.shape) != len(self.strides) or min((self.offset, *self.shape, *self.strides)) < 0:
            raise WeightsError(f"storage {self.storage.key}: a tensor's shape or strides make no sense")
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and last >= len(numbers):
            raise WeightsError(f"storage {self.storage.key}: a tensor reaches beyond its {len(numbers)} numbers")
        steps = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps, writeable=False).copy()


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_: object
) -> _Tensor:
    """Replace ``torch._utils._rebuild_tensor_v2``; arguments after the strides concern training."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


class _Unpickler(pickle.Unpickler):
    """Allows ordered dictionaries, tensors and storages, and refuses every other name."""

    def find_class(self, module: str, name: str, /) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which weights have no use for")

    def persistent_load(self, pid: Any, /) -> _Storage:
        match pid:
            case ("storage", np.dtype() as dtype, str(key), str(), int(count), *_):
                return _Storage(key, dtype, count)
        raise pickle.UnpicklingError("it refers to something that is no storage")


def read(path: Path) -> Weights:
    """Return the tensors of a legacy .pth file by name, each in an array of its own.

    The name ends in the first eight hexadecimal digits of the file's SHA-256 (``name-57934424.pth``), as PyTorch writes
    it; they are checked before the file is parsed.

    Raises WeightsError if the file is missing, does not match its name, is broken, or is of another format.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    promised = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    digest = hashlib.sha256(data).hexdigest()
    if promised is None or not digest.startswith(promised[1]):
        raise WeightsError(f"{path}: its SHA-256 starts with {digest[:8]}, which its name does not say")
    try:
        return _parse(data)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except Exception as error:  # a corrupt pickle can raise nearly any error
        raise WeightsError(f"{path}: not a legacy .pth file: {error}") from error


def read_archive(path: Path, sha256: str) -> Weights:
    """Return the tensors of a .pt file by name, each in an array of its own.

    Raises WeightsError if the file is missing, has another SHA-256, is broken, or is of another format.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    if (digest := hashlib.sha256(data).hexdigest()) != sha256:
        raise WeightsError(f"{path}: its SHA-256 is {digest[:16]}…, not {sha256[:16]}…")
    try:
        return _parse_archive(zipfile.ZipFile(io.BytesIO(data)))
    except Exception as error:  # a corrupt archive can raise nearly any error
        raise WeightsError(f"{path}: not a .pt file: {error}") from error


def _parse_archive(archive: zipfile.ZipFile) -> Weights:
    (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
    tensors: dict[str, _Tensor] = _Unpickler(archive.open(pickled)).load()
    folder = pickled.removesuffix("data.pkl") + "data/"
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    numbers = {
        key: np.frombuffer(archive.read(folder + key), storage.dtype, storage.count)
        for key, storage in storages.items()
    }
    return {name: tensor.view_of(numbers[tensor.storage.key]) for name, tensor in tensors.items()}


def _parse(data: bytes) -> Weights:
    file = io.BytesIO(data)
    if _Unpickler(file).load() != MAGIC or _Unpickler(file).load() != PROTOCOL:
        raise WeightsError("not a legacy .pth file")
    system = _Unpickler(file).load()
    if not system["little_endian"]:
        raise WeightsError("written on a big-endian machine")
    tensors: dict[str, _Tensor] = _Unpickler(file).load()
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _numbers(file, key, dtypes[key]) for key in _Unpickler(file).load()}
    return {name: tensor.view_of(storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _numbers(file: BinaryIO, key: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the numbers of the next storage in the file. Raises WeightsError if it is cut short."""
    count = int.from_bytes(file.read(8), "little", signed=True)
    raw = file.read(max(count, 0) * dtype.itemsize)
    if count < 0 or len(raw) != count * dtype.itemsize:
        raise WeightsError(f"storage {key}: the file ends before its {count} numbers do")
    return np.frombuffer(raw, dtype)
