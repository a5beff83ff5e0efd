"""What is opened when: on AWS nothing before its first use, once, whatever the number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lookalike import bootstrap
from lookalike.errors import ModelError, SettingsError
from lookalike.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

AWS = {
    "LOOKALIKE_TABLE": "table",
    "LOOKALIKE_BUCKET": "bucket",
    "LOOKALIKE_OPENSEARCH": "http://127.0.0.1:1",
    "LOOKALIKE_KEY": "key",
}

#: Slow to load, and needed by some functions only.
HEAVY = ("onnxruntime", "opensearchpy", "boto3", "faiss", "lookalike.embedding.embedder", "lookalike.adapters.account")

PROGRAM = """
import importlib, json, sys
from lookalike import bootstrap
importlib.import_module(f"functions.{sys.argv[1]}.app").handler
bootstrap._shared()
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize("function", sorted(app.parent.name for app in ROOT.glob("functions/*/app.py")))
def test_a_function_starts_with_nothing_that_it_may_not_need(function: str) -> None:
    environment = {**os.environ, **AWS, "LOOKALIKE_DATA": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, function],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not set(HEAVY) & set(json.loads(done.stdout))


def test_a_bad_model_is_refused_by_its_first_use(tmp_path: Path) -> None:
    ports = bootstrap.build(Settings.from_environment({**AWS, "LOOKALIKE_MODEL": str(tmp_path / "none.onnx")}))
    for _ in range(2):
        with pytest.raises(ModelError, match="no file is there"):
            _ = ports.embedder.model


def test_a_port_is_opened_once_by_all_threads_together() -> None:
    opened: list[int] = []

    def make() -> Any:
        time.sleep(0.05)
        opened.append(1)
        return SimpleNamespace(answer=42)

    port = bootstrap._later(make)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(port.answer)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers, opened) == ([42] * 8, [1])


def test_without_stores_it_says_what_to_name() -> None:
    with pytest.raises(SettingsError, match=r"LOOKALIKE_DATA is not set: .*, or the stores of AWS"):
        bootstrap.build(Settings.from_environment({}))
