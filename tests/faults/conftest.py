"""Temporary files in memory, where there is such a file system: a check makes and removes 96 of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest

from tests.faults.soak import MEMORY


@pytest.fixture(autouse=True, scope="package")
def in_memory() -> Iterator[None]:
    if not MEMORY.is_dir():
        yield
        return
    before, tempfile.tempdir = tempfile.tempdir, str(MEMORY)
    yield
    tempfile.tempdir = before
