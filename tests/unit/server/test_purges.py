"""A server purges deleted pictures of its own machine, and others only on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lookalike.cli.main import app
from lookalike.server.uvicorn_server import Address
from lookalike.settings import Settings
from tests.contract.rows import application
from tests.support.fakes import memory_ports

STORES = {"TABLE": "t", "BUCKET": "b", "OPENSEARCH": "https://search.example", "KEY": "k"}


class StandIn:
    """A ready service that records whether its schedules run."""

    def __init__(self) -> None:
        self.ports = memory_ports(application("mine"))
        self.plays = False

    def start_schedules(self) -> None:
        self.plays = True


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., bool]:
    """Return a function that serves with options, and tells whether the schedules run."""

    def run(*options: str, aws: bool) -> bool:
        service = StandIn()
        stores = STORES if aws else {"DATA": str(tmp_path)}
        for name in (*STORES, "DATA"):
            monkeypatch.setenv(f"LOOKALIKE_{name}", stores.get(name, ""))

        def ready(_: Settings, host: str, port: int, when_ready: Callable[[Any, Address], None]) -> int:
            when_ready(service, Address(host, port))
            return 0

        monkeypatch.setattr("lookalike.cli.serve.run", ready)
        done = CliRunner().invoke(app, ["serve", *options])
        assert done.exit_code == 0, done.output
        return service.plays

    return run


def test_this_machines_are_purged(serve: Callable[..., bool]) -> None:
    assert serve(aws=False)
    assert not serve("--no-purge", aws=False)


def test_those_of_aws_are_not_but_by_order(serve: Callable[..., bool]) -> None:
    assert not serve("--backend", "aws", aws=True)
    assert serve("--backend", "aws", "--purge", aws=True)
