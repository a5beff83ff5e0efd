"""Packages that not every installation has, because not every command needs them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from lookalike.errors import SettingsError

#: What pyproject.toml names for each of them, and the name that it is imported by.
PACKAGES: Mapping[str, Mapping[str, str]] = {
    "aws": {"boto3": "boto3", "opensearch-py": "opensearchpy"},
    "model": {"onnx": "onnx"},
}


def require(extra: str) -> None:
    """Raise SettingsError, which says how to install them, if an extra's packages are missing."""
    missing = [name for name, module in PACKAGES[extra].items() if find_spec(module) is None]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} not installed: run `make setup WITH={extra}`")
