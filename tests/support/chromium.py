"""A real browser for tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def running() -> Iterator[Any]:
    """Run a browser. Where there is none, the test is skipped and says what is missing.

    While it runs, the thread has an event loop: leave it before tests that run one of their own.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: make .venv/.browser")
    if (path := shutil.which("chromium")) is None:
        pytest.skip("chromium is missing (Debian: apt install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
