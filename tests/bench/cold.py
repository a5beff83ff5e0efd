"""Cold starts: a fresh process, a read-only copy of the built layers, and the first search, or the first token.

In Lambda /opt cannot be written, so what bytecode the layers lack is compiled at every start. It takes ``make build``,
and Lambda's Python; boto3, which Lambda brings with bytecode, is this environment's, compiled beforehand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from tests.bench.report import Report
from tests.template.built import runs_here

BUILD = Path(__file__).resolve().parents[2] / ".aws-sam/build"
ARCHITECTURE = "x86_64"

#: Packages that Lambda's Python brings.
BROUGHT = ("boto3", "botocore", "s3transfer")

#: CPU milliseconds, children of this process included, as Lambda would bill one processor.
SEARCH = """
import json, os, sys, time
given = json.load(sys.stdin)
sys.path[:0] = given["path"]
spent = [time.process_time()]
import app
spent.append(time.process_time())
from lookalike.handlers.process_ports import process_ports
ports = process_ports()
_ = ports.applications, ports.catalog, ports.maps, ports.index
spent.append(time.process_time())
_ = ports.embedder.loaded, ports.verifier.loaded
spent.append(time.process_time())
import numpy as np
from lookalike.service.looks import corner_views, whole_view
pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
ports.embedder.embed([view.pixels for view in (*whole_view(pixels), *corner_views(pixels))])
spent.append(time.process_time())
json.dump([1000 * (after - before) for before, after in zip(spent, spent[1:])], sys.stdout)
"""
SEARCH_STEPS = (
    "imports of the handler",
    "stores: boto3, OpenSearch's client",
    "model and verifier",
    "first five passes",
)

#: The same for a token, whose function reads one store.
TOKEN = """
import json, sys, time
given = json.load(sys.stdin)
sys.path[:0] = given["path"]
spent = [time.process_time()]
import app
from lookalike.handlers.process_ports import process_ports
ports = process_ports()
spent.append(time.process_time())
_ = ports.applications
spent.append(time.process_time())
json.dump([1000 * (after - before) for before, after in zip(spent, spent[1:])], sys.stdout)
"""
#: The same for a page of the console, whose function reads files.
CONSOLE = """
import json, sys, time
given = json.load(sys.stdin)
sys.path[:0] = given["path"]
before = time.process_time()
import app
json.dump([1000 * (time.process_time() - before)], sys.stdout)
"""

TOKEN_STEPS = ("imports of the handler", "the store of applications: boto3")

ENVIRONMENT = {
    "LOOKALIKE_TABLE": "table",
    "LOOKALIKE_BUCKET": "bucket",
    "LOOKALIKE_OPENSEARCH": "https://search-x.eu-west-1.es.amazonaws.com",
    "LOOKALIKE_KEY": "key",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


def measure(report: Report, *, quick: bool) -> None:
    """Measure some starts; report the minimum of each step, or nothing without a build or Lambda's Python."""
    if not (BUILD / "RuntimeLayer").is_dir() or not runs_here(ARCHITECTURE):
        print(f"No cold start: it takes `make build`, and Python 3.13 on Linux, {ARCHITECTURE}.", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="opt-") as folder:
        opt = Path(folder)
        for layer in ("LookalikeLayer", "RuntimeLayer", "ModelLayer"):
            shutil.copytree(BUILD / layer, opt, dirs_exist_ok=True)
        brought = opt / "brought"
        for name in BROUGHT:
            shutil.copytree(Path(sysconfig.get_path("purelib")) / name, brought / name)
        subprocess.run([sys.executable, "-m", "compileall", "-q", brought], check=True)
        subprocess.run(["chmod", "-R", "a-w", folder], check=True)
        try:
            times = range(1 if quick else 5)
            search = min((_start(opt, brought, "search", SEARCH) for _ in times), key=sum)
            token = min((_start(opt, brought, "token", TOKEN) for _ in times), key=sum)
            console = min((_start(opt, brought, "console", CONSOLE) for _ in times), key=sum)
        finally:
            subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    for name, milliseconds in zip(SEARCH_STEPS, search, strict=True):
        report.add("cold start", f"CPU for {name}", milliseconds, "ms")
    report.add("cold start", "CPU until ready for a search", sum(search[:3]), "ms", aim="< 700 ms")
    for name, milliseconds in zip(TOKEN_STEPS, token, strict=True):
        report.add("cold start, token", f"CPU for {name}", milliseconds, "ms")
    report.add("cold start, token", "CPU until ready for a token", sum(token), "ms")
    report.add("cold start, console", "CPU until ready for a page", sum(console), "ms", aim="< 300 ms")


def _start(opt: Path, brought: Path, function: str, program: str) -> list[float]:
    functions = BUILD.parents[1] / "functions" / function
    given = {"path": [str(functions), str(opt / "python"), str(brought)]}
    done = subprocess.run(
        [sys.executable, "-ISB", "-c", program],
        input=json.dumps(given),
        env={"PATH": os.environ["PATH"], **ENVIRONMENT, "LOOKALIKE_MODEL": str(opt / "model/model.onnx")},
        capture_output=True,
        text=True,
        check=True,
    )
    spent: list[float] = json.loads(done.stdout)
    return spent
