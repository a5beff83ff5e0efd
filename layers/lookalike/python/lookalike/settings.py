"""All settings, read once from the environment. A field's metadata names its variable and says what it does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from lookalike.errors import SettingsError

Network = IPv4Network | IPv6Network


def _flag(text: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in values:
        raise ValueError("must be true or false")
    return values[text.lower()]


def _number(least: float, most: float, read: type[int] | type[float]) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        wanted = f"must be a {'whole ' if read is int else ''}number from {least} to {most}"
        try:
            value = read(text)
        except ValueError:
            raise ValueError(wanted) from None
        if not least <= value <= most:  # nor is not-a-number
            raise ValueError(wanted)
        return value

    return checked


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(word) for word in _words(text))  # its own error names the word and what is wrong


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return text.upper()


def _setting(variable: str, default: Any, read: Callable[[str], Any], about: str) -> Any:
    return field(default=default, metadata={"variable": variable, "read": read, "about": about})


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may choose. Every field has a default that suits one machine and Lambda alike."""

    data: Path | None = _setting(
        "LOOKALIKE_DATA", None, Path, "folder that holds everything when the service runs on one machine"
    )
    model: str | None = _setting(
        "LOOKALIKE_MODEL", None, str, "an ONNX file with its card beside it; default: the model that comes along"
    )
    model_threads: int = _setting(
        "LOOKALIKE_MODEL_THREADS", 1, _number(1, 64, int), "threads one pass through the model may use"
    )
    min_side: int = _setting("LOOKALIKE_MIN_SIDE", 15, _number(1, 1024, int), "shortest side of a picture, in pixels")
    brief_required: bool = _setting(
        "LOOKALIKE_BRIEF_REQUIRED",
        True,
        _flag,
        "whether add to same_hq and similar needs a brief, as the vendor has it",
    )
    purge_after_days: float = _setting(
        "LOOKALIKE_PURGE_AFTER_DAYS",
        7.0,
        _number(0, 36_500, float),
        "days a deleted picture is kept before it is purged",
    )
    group_pictures: int = _setting(
        "LOOKALIKE_GROUP_PICTURES", 500_000, _number(1, 10**9, int), "pictures a group may hold"
    )
    group_threshold: float = _setting(
        "LOOKALIKE_GROUP_THRESHOLD",
        0.0,
        _number(0, 1, float),
        "least score that a search in groups answers, even if its caller asks for less",
    )
    batch_pictures: int = _setting(
        "LOOKALIKE_BATCH_PICTURES", 100, _number(1, 1000, int), "pictures that one call may add to a group"
    )
    wait_for_index: bool = _setting(
        "LOOKALIKE_WAIT_FOR_INDEX", True, _flag, "whether a write answers only when searches already see it"
    )
    public_hosts: tuple[str, ...] = _setting(
        "LOOKALIKE_PUBLIC_HOSTS",
        (),
        _words,
        "further host names, with or without a base path, that clients sign their requests for, comma separated",
    )
    fetch_seconds: float = _setting(
        "LOOKALIKE_FETCH_SECONDS", 8.0, _number(0.1, 25, float), "the whole time a picture's URL may take to download"
    )
    fetch_redirects: int = _setting(
        "LOOKALIKE_FETCH_REDIRECTS", 3, _number(0, 20, int), "redirects followed while downloading"
    )
    fetch_allow: tuple[Network, ...] = _setting(
        "LOOKALIKE_FETCH_ALLOW",
        (),
        _networks,
        "networks that pictures may be downloaded from although they are not public, comma separated",
    )
    per_second: int | None = _setting(
        "LOOKALIKE_PER_SECOND", None, _number(1, 1_000_000, int), "calls a second that all applications have together"
    )
    count_usage: bool = _setting(
        "LOOKALIKE_COUNT_USAGE", False, _flag, "whether every application's calls are counted, day by day"
    )
    log_level: str = _setting("LOOKALIKE_LOG_LEVEL", "INFO", _level, "least severe log line that is written")
    metrics: bool = _setting("LOOKALIKE_METRICS", False, _flag, "whether metrics are written to stdout, for CloudWatch")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
        """Read the environment; ``given`` wins over it. An empty variable counts as absent.

        Raises SettingsError, whose message names everything that is wrong.
        """
        values, problems = dict(given), []
        for setting in fields(cls):
            variable = setting.metadata["variable"]
            text = environment.get(variable, "").strip()
            if setting.name in given or not text:
                continue
            try:
                values[setting.name] = setting.metadata["read"](text)
            except ValueError as error:
                problems.append(f"{variable}={text}: {error}")
        known = {setting.metadata["variable"] for setting in fields(cls)}
        problems += [
            f"{name}: no such setting" for name in environment if name.startswith("LOOKALIKE_") and name not in known
        ]
        if problems:
            raise SettingsError("; ".join(problems))
        return cls(**values)
