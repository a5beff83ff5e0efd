"""Imports in tests: both targets on stores in memory, and what the report says."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl

from lookalike.domain.application import Application
from lookalike.domain.library import Identity
from lookalike.domain.staged import StagedId
from lookalike.ports import Ports
from lookalike.transfer import importing, report
from lookalike.transfer.api_client import Answered, ApiClient
from lookalike.transfer.api_target import ApiTarget
from lookalike.transfer.columns import Columns
from lookalike.transfer.importing import Plan
from lookalike.transfer.journal import Journal
from lookalike.transfer.outcomes import Totals
from lookalike.transfer.pace import Pace
from lookalike.transfer.sources import open_source
from lookalike.transfer.stores_target import StoresTarget
from lookalike.transfer.target import NotShown, OnDuplicate, Target, Wanted
from tests.support.fakes import MemoryStaging
from tests.support.native import NativeCaller


class HandlersClient(ApiClient):
    """Calls the handlers of this process, as the gateway would."""

    def __init__(self, application: Application, ports: Ports) -> None:
        super().__init__("http://127.0.0.1", "unused:unused", lambda _: None)
        self._ports = ports
        self._tenant = application.tenant
        self.sent: list[int] = []
        self.forgetting = False
        self._caller = NativeCaller(application)

    def call(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json", *, once: bool = False
    ) -> Answered:
        path, _, query = path.partition("?")
        headers = {"content-type": content_type}
        answered = self._caller.call(method, path, body=body, headers=headers, **dict(parse_qsl(query)))
        return Answered(answered.status, answered.body)

    def _post(self, url: str, fields: Mapping[str, str], data: bytes) -> int:
        """Put the file where its store would; what it forgets was used by a call whose answer was lost."""
        found = StagedId.of(self._tenant, url.rpartition("/")[2])
        assert found is not None
        assert fields
        self.sent.append(len(data))
        if not self.forgetting:
            cast("MemoryStaging", self._ports.staged).files[found.key] = data
        self.forgetting = False
        return 204


class Silent:
    """Shows nothing."""

    def show(self, totals: Totals) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Importer:
    """Imports for one application, through the use cases or through the API."""

    ports: Ports
    application: Application
    by_api: bool

    def target(self, wanted: Wanted, *, make: bool = True) -> Target:
        if self.by_api:
            return ApiTarget(HandlersClient(self.application, self.ports), wanted, make=make)
        return StoresTarget(self.ports, self.application, wanted, make=make)

    def run(
        self,
        source: Path,
        library: str,
        mapped: str = "",
        *,
        on_duplicate: OnDuplicate = OnDuplicate.RETURN,
        dry: bool = False,
        root: Path | None = None,
        rate: float | None = None,
        columns: Columns | None = None,
    ) -> list[tuple[str, ...]]:
        """Import, and return the report's lines: outcome, reason and id."""
        target = self.target(Wanted(library, on_duplicate=on_duplicate), make=not dry)
        journal = None if dry else source.with_name(f"{source.name}.journal")
        with closing(Journal(journal, target.name)) as kept:
            opened = open_source(source, columns or Columns.parse(mapped), root=root)
            plan = Plan(opened, target, kept, 3, dry, Pace(rate))
            importing.prepare(plan)
            stopped = importing.run(plan, Silent())
            assert not stopped, stopped
            if not dry:
                with suppress(NotShown):
                    held, wanted = importing.verify(plan)
                    assert held == wanted
            report.write_report(source.with_name("report.csv"), kept.lines(), signs=target.identity is Identity.PICTURE)
            totals = kept.totals()
        lines = read_report(source.with_name("report.csv"))
        assert totals.done == totals.rows == len(lines)
        return lines


def read_report(path: Path) -> list[tuple[str, ...]]:
    """Outcome, reason and id of each row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == [*range(1, len(rows) + 1)]
    return [(row["outcome"], row["reason"], row["id"]) for row in rows]
