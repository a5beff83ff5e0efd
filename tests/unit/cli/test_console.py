"""``lookalike console`` prints an address that signs one application in, and where it leads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lookalike.cli import console
from lookalike.cli.main import app
from lookalike.domain.application import Application
from lookalike.errors import InvalidArgument, SettingsError
from lookalike.ports.clock import unix_milliseconds
from lookalike.settings import Settings
from lookalike.wire.native.session_tokens import Use, link, verify
from tests.support.fakes import MemoryApplications

APPLICATION = Application("access", "secret", "12345678", "tenant", "name")


def run(data: Path, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--data", str(data)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def made(data: Path, name: str) -> Application:
    keys = json.loads(run(data, "keys", "create", "--name", name, "--json"))
    return Application(keys["access_key"], keys["secret_key"], keys["app_id"], keys["tenant"], keys["name"])


def signs_in(printed: str, application: Application) -> Use:
    """What the printed address is for."""
    token = verify(MemoryApplications(application), printed.partition("#once=")[2], unix_milliseconds() // 1000)
    assert token.application == application
    return token.use


def test_the_only_application_is_meant(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shop = made(data, "shop")
    printed = run(data, "console")
    assert printed.startswith("http://127.0.0.1:8000/console/#once=")
    assert signs_in(printed, shop) is Use.LOOPBACK_LINK
    assert printed != run(data, "console")


def test_of_several_one_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shop, stock = made(data, "shop"), made(data, "stock")
    with pytest.raises(InvalidArgument, match="say which is meant, one of shop, stock"):
        run(data, "console")
    signs_in(run(data, "console", "--name", "stock"), stock)
    signs_in(run(data, "console", "--name", shop.access_key), shop)


def test_nobody_is_signed_in_by_an_application_that_is_not_there_or_disabled(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made(data, "shop")
    run(data, "keys", "change", "--name", "shop", "--disable")
    with pytest.raises(InvalidArgument, match="is disabled"):
        run(data, "console")
    run(data, "keys", "revoke", "--name", "shop")
    with pytest.raises(InvalidArgument, match="there are no applications"):
        run(data, "console")


@pytest.mark.parametrize(
    ("url", "address", "use"),
    [
        ("http://localhost:9000", "http://localhost:9000", Use.LOOPBACK_LINK),
        ("http://[::1]:8000/", "http://[::1]:8000", Use.LOOPBACK_LINK),
        ("https://images.example.com", "https://images.example.com", Use.LINK),
        ("http://192.168.1.5:8000", "http://192.168.1.5:8000", Use.LINK),
        ("http://127.0.0.1.example.com", "http://127.0.0.1.example.com", Use.LINK),
    ],
)
def test_where_it_leads_decides_where_it_works(tmp_path: Path, url: str, address: str, use: Use) -> None:
    data = tmp_path / "data"
    shop = made(data, "shop")
    printed = run(data, "console", "--url", url)
    assert printed.startswith(f"{address}/console/#once=")
    assert signs_in(printed, shop) is use


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "https://x/console/"])
def test_what_no_browser_opens_is_refused(tmp_path: Path, url: str) -> None:
    made(tmp_path / "data", "shop")
    with pytest.raises(InvalidArgument, match="--url"):
        run(tmp_path / "data", "console", "--url", url)


def test_a_stack_says_where_it_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    on_aws = Settings(table="table", bucket="bucket", opensearch="https://x", key="key")
    monkeypatch.setattr(console, "stack_address", lambda stack: f"https://{stack}.example")
    assert console._address(on_aws, "mine", None) == "https://mine.example"
    assert console._address(on_aws, "mine", "https://images.example/") == "https://images.example"
    with pytest.raises(SettingsError, match="which address"):
        console._address(on_aws, None, None)


def test_the_address_of_a_link_can_be_pasted() -> None:
    assert re.fullmatch(r"[!-~]+", link(APPLICATION, "https://x", unix_milliseconds() // 1000))
