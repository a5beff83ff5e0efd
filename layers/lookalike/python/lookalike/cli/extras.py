"""Checks for packages that only some commands need."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from lookalike.errors import SettingsError

#: The packages of each extra, as pyproject.toml names them, and the modules they are imported as.
PACKAGES: Mapping[str, Mapping[str, str]] = {
    "aws": {"boto3": "boto3", "opensearch-py": "opensearchpy"},
    "model": {"onnx": "onnx"},
}


def require(extra: str) -> None:
    """Raise SettingsError, with the command that installs them, if packages of an extra are missing."""
    missing = [name for name, module in PACKAGES[extra].items() if find_spec(module) is None]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} not installed: run `make setup WITH={extra}`")
