"""``make bench``: measures the service's speed, beside the floor of the same work on this machine.

    python -m tests.bench [--json FILE] [--quick] [--full] [--large]

Everything is measured in this one run, so the ratios hold whatever else the machine is doing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

from rich.console import Console

import lookalike
from tests.bench import (
    bill,
    cold,
    connection,
    fair,
    model,
    native,
    peers,
    pipeline,
    same,
    same_http,
    stores,
    throughput,
)
from tests.bench.report import Report


def main() -> None:
    """Run all benchmarks, print their tables, write their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--full", action="store_true", help="embed every picture of the library that is searched in")
    parser.add_argument(
        "--large", action="store_true", help="the index with up to five million pictures, which takes 10 GB"
    )
    chosen = parser.parse_args()
    report = Report()
    pipeline.measure(report, quick=chosen.quick)
    connection.measure(report, quick=chosen.quick)
    throughput.measure(report, quick=chosen.quick)
    model.measure(report, quick=chosen.quick)
    same.measure(report, quick=chosen.quick, full=chosen.full)
    same_http.measure(report, quick=chosen.quick)
    native.measure(report, quick=chosen.quick)
    stores.measure(report, quick=chosen.quick, large=chosen.large)
    peers.measure(report, quick=chosen.quick, large=chosen.large)
    fair.measure(report, quick=chosen.quick)
    cold.measure(report, quick=chosen.quick)
    bill.measure(report)
    report.print(Console())
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    about = {"version": lookalike.__version__, "python": sys.version.split()[0], "machine": platform.machine()}
    chosen.json.write_text(json.dumps({**about, "figures": report.figures()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
