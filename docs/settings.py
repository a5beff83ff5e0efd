"""Writes ``docs/settings.md`` from the settings' dataclass: ``.venv/bin/python docs/settings.py``.

A setting's default and meaning are those of its field; what its text from the environment may be is asked of the field's
own reader. Only the grouping, and remarks that are no matter of the code, stand here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from lookalike.settings import Settings

PAGE = Path(__file__).with_name("settings.md")

_HEAD = """\
# Settings

For whoever configures lookalike, on one machine or in Lambda. After this page you know every setting, its default and
what it does.

Settings are environment variables, on one machine and in Lambda alike. They are read once, at the start. An empty
variable counts as absent. A value that cannot be used, or a variable that begins with `LOOKALIKE_` and is no setting,
is refused at the start, with everything that is wrong in one line ([errors](errors.md#the-service-does-not-start)). On
AWS the stack sets them from the parameters of `template.yaml`.

This page is written by `docs/settings.py` from `layers/lookalike/python/lookalike/settings.py`; do not edit it by hand.
"""

#: Headings, and the fields below each.
_GROUPS: Mapping[str, Sequence[str]] = {
    "Stores": (
        "data",
        "table",
        "bucket",
        "opensearch",
        "vector_store",
        "key",
        "uploads",
        "dead_letters",
        "index_function",
        "dead_letter_queues",
    ),
    "Model and pictures": ("model", "model_threads", "min_side", "min_agreement", "brief_required", "purge_after_days"),
    "Libraries and groups": (
        "group_pictures",
        "library_pictures",
        "application_pictures",
        "group_threshold",
        "batch_pictures",
    ),
    "Folders and uploads": ("watch", "keep_uploads"),
    "Index": ("wait_for_index", "index_seconds"),
    "Clients and proxies": ("public_hosts", "hosts", "proxies"),
    "Downloads by URL": ("fetch_seconds", "fetch_redirects", "fetch_allow"),
    "Limits": ("per_second", "count_usage", "wait_seconds", "search_workers"),
    "Status, log and metrics": ("status_details", "log_level", "metrics", "stack"),
}

#: What stands for a default that is not said by its value.
_DEFAULTS: Mapping[str, str] = {
    "data": "`data`",
    "per_second": "no limit",
}

#: What is to be known beside what the field says.
_REMARKS: Mapping[str, str] = {
    "data": "`--data` wins",
    "table": "the stack sets it, as the next four and the queue",
    "watch": "`--watch` wins",
    "min_agreement": "another form of one layout has 0.1 to 0.8, a copy with a third of it covered 0.3 to 0.6",
    "index_seconds": "the stack gives its background functions 10",
    "hosts": "`/status` may be asked for under any",
    "count_usage": "for `lookalike usage`",
    "log_level": "it goes to stderr",
    "stack": "the stack sets its own",
}


def page() -> str:
    """The page's text. Raises ValueError unless every setting stands in one group."""
    by_name = {setting.name: setting for setting in fields(Settings)}
    grouped = [name for names in _GROUPS.values() for name in names]
    if sorted(grouped) != sorted(by_name):
        raise ValueError(f"not in one group each: {sorted(set(grouped) ^ set(by_name))}")
    return _HEAD + "".join(_group(title, [by_name[name] for name in names]) for title, names in _GROUPS.items())


def _group(title: str, settings: Sequence[Field[Any]]) -> str:
    rows = "".join(f"{_row(setting)}\n" for setting in settings)
    return f"\n## {title}\n\n| variable | default | value | what it does |\n|---|---|---|---|\n{rows}"


def _row(setting: Field[Any]) -> str:
    about = "; ".join(filter(None, (setting.metadata["about"].replace("<", "&lt;"), _REMARKS.get(setting.name))))
    return f"| `{setting.metadata['variable']}` | {_default(setting)} | {_values(setting)} | {about} |"


def _default(setting: Field[Any]) -> str:
    if setting.name in _DEFAULTS:
        return _DEFAULTS[setting.name]
    value = setting.default
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):  # networks: an address is one of its own
        return f"`{', '.join(str(one.network_address) for one in value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _values(setting: Field[Any]) -> str:
    """What the variable may say, as its reader words it when it refuses a value; empty where any text will do."""
    try:
        setting.metadata["read"]("?")
    except ValueError as error:
        said = str(error)
        return said.removeprefix("must be ") if said.startswith("must be ") else "addresses and networks"
    return ""


if __name__ == "__main__":
    PAGE.write_text(page())
