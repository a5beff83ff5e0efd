"""How many calls applications have made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lookalike.cli.main import app
from lookalike.domain.application import Application, Policy
from lookalike.handlers.process_ports import serving
from lookalike.ports import clock as system_clock
from lookalike.service.admission import admit, day_count
from lookalike.service.usage import Usage, usage
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.conftest import ALICE
from tests.support.baidu import Caller, picture
from tests.support.fakes import SetClock, memory_ports
from tests.support.native import NativeCaller

DAY = 86_400_000


def test_calls_are_told_by_application_and_day() -> None:
    shop = Application("ak", "sk", "7", "tenant", "shop", created=1)
    idle = Application("other", "sk", "8", "tenant", "idle", created=2)
    clock = SetClock(1_767_323_045_000)  # 2026-01-02T03:04:05Z
    ports = memory_ports(shop, idle, clock=clock, settings=Settings(count_usage=True))
    for calls in (2, 0, 3):
        for _ in range(calls):
            admit(ports, shop, "203.0.113.9")
        clock.now += DAY
    assert usage(ports.applications, ports.counters, clock.now, 4, everybody=True) == [
        Usage("shop", "7", {"2026-01-02": 2, "2026-01-03": 0, "2026-01-04": 3, "2026-01-05": 0}),
        Usage("idle", "8", {"2026-01-02": 0, "2026-01-03": 0, "2026-01-04": 0, "2026-01-05": 0}),
    ]


def test_calls_are_told_by_operation_of_whatever_dialect() -> None:
    ports = memory_ports(ALICE, settings=Settings(count_usage=True))
    with serving(ports):
        native = NativeCaller(ALICE)
        native.library("shop")
        native.put("shop", "a", picture(1))
        native.search("shop", picture(1))
        Caller(ALICE).call("similar", "search", image=picture(1))
        said = native.call("GET", "/usage", days=1).json
    (day,) = said["days"]
    assert day["calls"] == 5
    assert day["operations"] == {"groups": 2, "add": 1, "search": 2}


def test_an_application_without_a_limit_a_day_is_not_counted() -> None:
    free = Application("ak", "sk", "7", "tenant", "free", created=1)
    limited = replace(free, access_key="other", app_id="8", name="limited", policy=Policy(per_day=5), created=2)
    ports = memory_ports(free, limited)
    found = usage(ports.applications, ports.counters, 1_767_323_045_000, 1, everybody=False)
    assert [(one.name, one.counted) for one in found] == [("free", False), ("limited", True)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with twenty applications; every second one has a limit a day, every fourth has called today."""
    stores = SqliteStores(DataFolder(tmp_path / "data").catalog)
    today = system_clock.unix_milliseconds()
    for number in range(20):
        policy = Policy(per_day=5000) if number % 2 else Policy()
        app_id = f"{10_000_000 + number}"
        name = f"[shop] {number}"
        stores.applications.save_application(
            Application(f"{number}", "sk", app_id, "t", name, created=number, policy=policy)
        )
        if number % 4 == 1:
            for ago in (0, 1):
                stores.counters.take(day_count(app_id, today - ago * DAY), 1000 + number, None)
    stores.close()
    return tmp_path / "data"


def test_many_applications_are_readable_where_a_line_has_eighty_characters(data: Path) -> None:
    done = CliRunner().invoke(app, ["usage", "--data", str(data)], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in done.stdout.splitlines() if "│" in line]
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert rows.count(["[shop] 0", "10000000", "-", "-"]) == 1
    assert rows.count(["[shop] 3", "10000003", "-", "0"]) == 1
    assert [row[3] for row in rows if row[0] == "[shop] 17"] == ["1,017", "1,017"]
    assert len(rows) == 15 + 2 * 5


def test_a_dash_is_explained(data: Path) -> None:
    said = CliRunner().invoke(app, ["usage", "--data", str(data)]).stderr
    assert "a dash stands for calls that are not counted" in said
    assert "LOOKALIKE_COUNT_USAGE=true" in said
    counted = CliRunner().invoke(app, ["usage", "--data", str(data)], env={"LOOKALIKE_COUNT_USAGE": "true"})
    assert (counted.exit_code, counted.stderr) == (0, "")


def test_programs_read_json(data: Path) -> None:
    done = CliRunner().invoke(app, ["usage", "--data", str(data), "--days", "3", "--json"])
    found = json.loads(done.stdout)
    assert not done.stderr
    assert [one["counted"] for one in found] == [False, True] * 10
    assert [calls for calls in found[5]["calls"].values() if calls] == [1005, 1005]
