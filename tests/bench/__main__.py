"""``make bench``: measures the service's speed, beside the floor of the same work on this machine.

    python -m tests.bench [--json FILE] [--quick] [--full] [--large]

Everything is measured in this one run, so the ratios hold whatever else the machine is doing. The figures are written after
each part, so that a run that is interrupted leaves what it has measured.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from rich.console import Console

import lookalike
from tests.bench import (
    bill,
    check,
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

#: A part of the benchmarks: adds its figures to the report.
Part = Callable[[Report], None]


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
    measure(_parts(quick=chosen.quick, full=chosen.full, large=chosen.large), chosen.json).print(Console())


def measure(parts: Mapping[str, Part], file: Path) -> Report:
    """Run each part, name it on stderr as it begins, and write all figures so far after it; return them."""
    report = Report()
    about = {"version": lookalike.__version__, "python": sys.version.split()[0], "machine": platform.machine()}
    file.parent.mkdir(parents=True, exist_ok=True)
    for number, (name, part) in enumerate(parts.items(), 1):
        print(f"bench: {name}, part {number} of {len(parts)}", file=sys.stderr, flush=True)
        part(report)
        report.write(file, about)
    return report


def _parts(*, quick: bool, full: bool, large: bool) -> Mapping[str, Part]:
    return {
        "pipeline": partial(pipeline.measure, quick=quick),
        "connection": partial(connection.measure, quick=quick),
        "throughput": partial(throughput.measure, quick=quick),
        "model": partial(model.measure, quick=quick),
        "same": partial(same.measure, quick=quick, full=full),
        "same_http": partial(same_http.measure, quick=quick),
        "native": partial(native.measure, quick=quick),
        "stores": partial(stores.measure, quick=quick, large=large),
        "peers": partial(peers.measure, quick=quick, large=large),
        "check": partial(check.measure, quick=quick),
        "fair": partial(fair.measure, quick=quick),
        "cold": partial(cold.measure, quick=quick),
        "bill": bill.measure,
    }


if __name__ == "__main__":
    main()
