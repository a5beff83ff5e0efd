"""``lookalike keys`` and ``lookalike token`` print values that can be copied whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lookalike.cli.main import app
from lookalike.domain.application import Application
from lookalike.errors import InvalidArgument, TokenInvalid
from lookalike.ports.clock import unix_milliseconds
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.wire.baidu.access_tokens import verify

Keys = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def lookalike(data: Path) -> Keys:
    """Run a command on the data folder: on a terminal of ``columns``, or in a pipe without."""

    def run(*words: str, columns: int | None = None) -> Result:
        terminal = {} if columns is None else {"COLUMNS": str(columns), "FORCE_COLOR": "1"}
        return CliRunner().invoke(app, [*words, "--data", str(data)], env=terminal)

    return run


def made(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("columns", [None, 20, 40, 80, 200])
def test_a_list_cuts_nothing_that_is_copied(lookalike: Keys, columns: int | None) -> None:
    names = ["shop", "a name of several words", "x" * 64]
    listed = [made(lookalike("keys", "create", "--name", name, "--json")) for name in names]
    lookalike("keys", "change", "--name", "shop", "--from", "2001:db8:1234:5678::/64", "--per-day", "50000")
    printed = lookalike("keys", "list", columns=columns)
    assert "…" not in printed.stdout
    for one in listed:
        (line,) = [line for line in printed.stdout.splitlines() if one["access_key"] in line]
        assert all(one[name] in line for name in ("name", "app_id", "tenant"))
        assert one["secret_key"] not in printed.stdout


def test_a_list_fits_eighty_columns(lookalike: Keys) -> None:
    lookalike("keys", "create", "--name", "shop", "--from", "203.0.113.0/24", "--per-second", "10")
    printed = re.sub("\x1b\\[[0-9;]*m", "", lookalike("keys", "list", columns=80).stdout)
    assert 70 < max(len(line) for line in printed.splitlines()) <= 80


def test_a_list_says_what_a_key_is_narrowed_to(lookalike: Keys) -> None:
    words = ("--may", "add,groups", "--library", "gate", "--library", "shop")
    lookalike("keys", "create", "--name", "camera", *words)
    header, line = re.sub("\x1b\\[[0-9;]*m", "", lookalike("keys", "list", columns=200).stdout).splitlines()
    assert "only the rights add+groups, only the libraries gate+shop" in line
    assert header.index("Makes") == line.index("similar")


def test_in_a_pipe_an_application_is_a_line(lookalike: Keys) -> None:
    for number in range(3):
        lookalike("keys", "create", "--name", f"shop {number}", "--from", "203.0.113.0/24", "--per-second", "10")
    assert len(lookalike("keys", "list").stdout.splitlines()) == 1 + 3


def test_a_new_tenant_is_told_that_it_sees_nobodys_pictures(lookalike: Keys, data: Path) -> None:
    first = lookalike("keys", "create", "--name", "first", "--json")
    assert "a tenant of its own" not in first.stderr, "there are no others"
    second = lookalike("keys", "create", "--name", "second", "--json")
    assert "second has a tenant of its own, and does not see the pictures of other applications" in second.stderr
    assert f"keys list --data {data}" in second.stderr
    assert "--tenant" in second.stderr
    sharing = lookalike("keys", "create", "--name", "third", "--tenant", made(first)["tenant"], "--json")
    assert sharing.stderr == ""
    assert made(sharing)["tenant"] == made(first)["tenant"]


def test_keys_are_shown_again_by_name_or_access_key(lookalike: Keys) -> None:
    one = made(lookalike("keys", "create", "--name", "shop", "--json"))
    for name in ("shop", one["access_key"]):
        shown = lookalike("keys", "show", "--name", name).stdout
        assert [line.split()[-1] for line in shown.splitlines()] == [
            one[part] for part in ("app_id", "access_key", "secret_key", "tenant")
        ]
        assert made(lookalike("keys", "show", "--name", name, "--json")) == one
    assert isinstance(lookalike("keys", "show", "--name", "nobody").exception, InvalidArgument)


def test_a_rotated_secret_is_new_and_all_else_is_not(lookalike: Keys, data: Path) -> None:
    before = made(lookalike("keys", "create", "--name", "shop", "--json"))
    token = lookalike("token", "--name", "shop").stdout.strip()
    assert whose(data, token).name == "shop"
    rotated = lookalike("keys", "rotate", "--name", "shop", "--json")
    after = made(rotated)
    assert after | {"secret_key": before["secret_key"]} == before
    assert after["secret_key"] != before["secret_key"]
    assert made(lookalike("keys", "show", "--name", "shop", "--json")) == after
    with pytest.raises(TokenInvalid, match="secret key"):
        whose(data, token)
    assert "refused from now on" in lookalike("keys", "rotate", "--name", "shop").stderr


def test_no_token_is_printed_that_would_be_refused(lookalike: Keys) -> None:
    lookalike("keys", "create", "--name", "shop")
    lookalike("keys", "change", "--name", "shop", "--disable")
    refused = lookalike("token", "--name", "shop")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "shop is disabled" in str(refused.exception)


@pytest.mark.parametrize("command", [["keys", "list"], ["usage"]])
def test_where_there_are_no_applications_it_is_said(lookalike: Keys, command: list[str]) -> None:
    lookalike("keys", "create", "--name", "shop")
    lookalike("keys", "revoke", "--name", "shop")
    listed = lookalike(*command)
    assert listed.exit_code == 0
    assert "there are no applications; `lookalike keys create` makes one" in listed.stderr


def whose(data: Path, token: str) -> Application:
    """Return the application that the service accepts the token for."""
    stores = SqliteStores(DataFolder(data).catalog)
    try:
        return verify(stores.applications, token, unix_milliseconds() // 1000)
    finally:
        stores.close()
