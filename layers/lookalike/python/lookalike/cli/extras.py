"""Packages that not every installation has, because not every command needs them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from lookalike.errors import SettingsError

#: What stands in pyproject.toml for each extra, as it is imported.
PACKAGES: Mapping[str, tuple[str, ...]] = {"aws": ("boto3", "opensearchpy"), "model": ("onnx",)}


def require(extra: str) -> None:
    """Raise SettingsError, which says how to install them, if an extra's packages are missing."""
    missing = [name for name in PACKAGES[extra] if find_spec(name) is None]
    if missing:
        raise SettingsError(f"{' and '.join(missing)}: not installed; `make setup WITH={extra}` does it")
