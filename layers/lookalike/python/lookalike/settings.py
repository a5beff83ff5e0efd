"""Settings, read once from the environment. Each field's metadata names its variable and describes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lookalike.errors import SettingsError

Network = IPv4Network | IPv6Network

#: The vector indices that an account may have.
OPENSEARCH, SEGMENTS = VECTOR_STORES = ("opensearch", "segments")

#: Pictures of an application that functions search well by themselves: their vectors are in memory, and are read within the
#: seconds of a first call.
MAX_IN_SEGMENTS = 300_000


def _flag(text: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in values:
        raise ValueError("must be true or false")
    return values[text.lower()]


def _number(minimum: float, maximum: float, read: type[int] | type[float]) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        wanted = f"must be a {'whole ' if read is int else ''}number from {minimum} to {maximum}"
        try:
            value = read(text)
        except ValueError:
            raise ValueError(wanted) from None
        if not minimum <= value <= maximum:  # false for NaN as well
            raise ValueError(wanted)
        return value

    return checked


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def _names(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _words(text))


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(word) for word in _words(text))  # its error names the word and the reason


def _proxies(text: str) -> tuple[Network, ...]:
    return () if text.lower() == "none" else _networks(text)


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("must be https:// or http:// and a host, with nothing after it")
    return text.rstrip("/")


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return text.upper()


def _vector_store(text: str) -> str:
    if text.lower() not in VECTOR_STORES:
        raise ValueError(f"must be {' or '.join(VECTOR_STORES)}")
    return text.lower()


def _setting(variable: str, default: Any, read: Callable[[str], Any], about: str) -> Any:
    return field(default=default, metadata={"variable": variable, "read": read, "about": about})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a process. Every default suits one machine and Lambda alike."""

    data: Path | None = _setting(
        "LOOKALIKE_DATA", None, Path, "folder that holds everything when the service runs on one machine"
    )
    table: str | None = _setting("LOOKALIKE_TABLE", None, str, "DynamoDB table of the catalog, on AWS")
    bucket: str | None = _setting("LOOKALIKE_BUCKET", None, str, "S3 bucket of the originals, on AWS")
    uploads: str | None = _setting(
        "LOOKALIKE_UPLOADS", None, str, "S3 bucket that takes files sent ahead of a call, on AWS"
    )
    opensearch: str | None = _setting(
        "LOOKALIKE_OPENSEARCH", None, _endpoint, "address of the OpenSearch domain, on AWS: https://…"
    )
    vector_store: str = _setting(
        "LOOKALIKE_VECTOR_STORE",
        OPENSEARCH,
        _vector_store,
        "what searches, on AWS: an OpenSearch domain, or the functions themselves, over segments in the bucket",
    )
    key: str | None = _setting(
        "LOOKALIKE_KEY", None, str, "KMS key that applications' secrets are sealed with, on AWS: its id or ARN"
    )
    model: str | None = _setting(
        "LOOKALIKE_MODEL", None, str, "an ONNX file with its card beside it; default: the model that comes along"
    )
    model_threads: int = _setting(
        "LOOKALIKE_MODEL_THREADS", 1, _number(1, 64, int), "threads one pass through the model may use"
    )
    search_workers: int | None = _setting(
        "LOOKALIKE_SEARCH_WORKERS",
        None,
        _number(0, 31, int),
        "processes that search beside the server of one machine; default: one less than it has cores, and one for each "
        "GiB of its memory at most",
    )
    min_side: int = _setting("LOOKALIKE_MIN_SIDE", 15, _number(1, 1024, int), "shortest side of a picture, in pixels")
    min_agreement: float = _setting(
        "LOOKALIKE_MIN_AGREEMENT",
        0.0,
        _number(0, 1, float),
        "share of the structure that must agree for a picture to be answered in same_hq",
    )
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
        "LOOKALIKE_GROUP_PICTURES",
        500_000,
        _number(1, 10**9, int),
        "pictures a group may hold without a capacity of its own",
    )
    library_pictures: int | None = _setting(
        "LOOKALIKE_LIBRARY_PICTURES",
        None,
        _number(1, 10**9, int),
        "pictures that a library where a picture is its own id, like same_hq, may hold without a capacity of its own",
    )
    application_pictures: int | None = _setting(
        "LOOKALIKE_APPLICATION_PICTURES",
        None,
        _number(1, 10**9, int),
        "pictures that all libraries of an application may hold together if its key has no capacity of its own",
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
    keep_uploads: bool = _setting(
        "LOOKALIKE_KEEP_UPLOADS", True, _flag, "whether an upload stays where it is once its picture is added"
    )
    watch: Path | None = _setting(
        "LOOKALIKE_WATCH", None, Path, "folder of <app id>/<library>/… whose pictures are added by themselves"
    )
    dead_letters: str | None = _setting(
        "LOOKALIKE_DEAD_LETTERS", None, str, "URL of the SQS queue for messages that never succeed, on AWS"
    )
    index_function: str | None = _setting(
        "LOOKALIKE_INDEX_FUNCTION", None, str, "name of the function whose lag /api/v1/index says, on AWS"
    )
    dead_letter_queues: tuple[str, ...] = _setting(
        "LOOKALIKE_DEAD_LETTER_QUEUES",
        (),
        _words,
        "names of the SQS queues whose messages /api/v1/index counts, on AWS, comma separated",
    )
    wait_for_index: bool = _setting(
        "LOOKALIKE_WAIT_FOR_INDEX", True, _flag, "whether a write answers only when searches already see it"
    )
    index_seconds: float = _setting(
        "LOOKALIKE_INDEX_SECONDS", 1.5, _number(0.1, 60, float), "seconds that a call may wait for OpenSearch, on AWS"
    )
    public_hosts: tuple[str, ...] = _setting(
        "LOOKALIKE_PUBLIC_HOSTS",
        (),
        _words,
        "further host names, with or without a base path, that clients sign their requests for, comma separated",
    )
    hosts: tuple[str, ...] = _setting(
        "LOOKALIKE_HOSTS",
        (),
        _names,
        "host names that requests may be sent to on one machine, comma separated; without it any",
    )
    proxies: tuple[Network, ...] = _setting(
        "LOOKALIKE_PROXIES",
        (ip_network("127.0.0.1"), ip_network("::1")),
        _proxies,
        "addresses and networks of the proxies whose X-Forwarded-For is believed, comma separated; none: no proxy's",
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
    wait_seconds: float = _setting(
        "LOOKALIKE_WAIT_SECONDS",
        30.0,
        _number(1, 600, float),
        "how long a request may wait for its turn on one machine, and a search for its answer, before it is refused",
    )
    status_details: bool = _setting(
        "LOOKALIKE_STATUS_DETAILS",
        False,
        _flag,
        "whether /status tells everybody what libraries there are, how many pictures each holds, and what is wrong",
    )
    log_level: str = _setting("LOOKALIKE_LOG_LEVEL", "INFO", _level, "least severe log line that is written")
    metrics: bool = _setting("LOOKALIKE_METRICS", False, _flag, "whether metrics are written to stdout, for CloudWatch")
    stack: str | None = _setting(
        "LOOKALIKE_STACK", None, str, "name that metrics carry, so that stacks can be told apart"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
        """Read the environment; ``given`` overrides it, also with None. An empty variable counts as absent.

        Raises SettingsError, whose message names every problem.
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
        problems += _stores(values)
        if problems:
            raise SettingsError("; ".join(problems))
        return cls(**values)

    @property
    def on_aws(self) -> bool:
        """Whether the stores are those of an AWS account, and not this machine's."""
        return self.table is not None

    @property
    def index_capacity(self) -> int | None:
        """Pictures of an application up to which the index is meant; None if that is its operator's to know."""
        return MAX_IN_SEGMENTS if self.on_aws and self.vector_store == SEGMENTS else None


#: Settings that locate the stores of an AWS account: all of them are set, or none; without a domain where segments are
#: searched.
AWS_STORES = ("table", "bucket", "opensearch", "key")


def _stores(values: Mapping[str, Any]) -> list[str]:
    """Return the problems with the settings of stores: mixed owners, or an incomplete account."""
    variables = {setting.name: setting.metadata["variable"] for setting in fields(Settings)}
    given = [variables[name] for name in AWS_STORES if values.get(name) is not None]
    spared = {"opensearch"} if values.get("vector_store") == SEGMENTS else set()
    missing = [variables[name] for name in AWS_STORES if values.get(name) is None and name not in spared]
    if given and values.get("data") is not None:
        return [f"{variables['data']} and {', '.join(given)} are set: keep the stores of one machine or those of AWS"]
    if given and missing:
        return [f"{', '.join(given)} without {', '.join(missing)}: the stores of AWS go together"]
    return []
