"""What is opened when: on AWS nothing before its first use, once, whatever the number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lookalike import bootstrap
from lookalike.errors import ModelError, SettingsError
from lookalike.once import once
from lookalike.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

AWS = {
    "LOOKALIKE_TABLE": "table",
    "LOOKALIKE_BUCKET": "bucket",
    "LOOKALIKE_OPENSEARCH": "http://127.0.0.1:1",
    "LOOKALIKE_KEY": "key",
}

#: Slow to load, and needed by some functions only.
HEAVY = (
    "onnxruntime",
    "opensearchpy",
    "boto3",
    "botocore.config",
    "faiss",
    "lookalike.embedding.embedder",
    "lookalike.verification.verifier",
    "lookalike.stores.local.local_stores",
)

PROGRAM = """
import importlib, json, sys
from lookalike.handlers.process_ports import process_ports
importlib.import_module(f"functions.{sys.argv[1]}.app").handler
process_ports()
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


#: What a token takes no part of: pictures, and all that is made of them.
PICTURES = (
    "numpy",
    "PIL",
    "lookalike.imaging.decode",
    "lookalike.verification",
    "lookalike.wire.baidu.calls",
    "lookalike.service.image_source",
)

GRANTS = """
import json, sys
from functions.token import app
from lookalike.handlers.process_ports import process_ports
process_ports().applications
print(json.dumps(sorted(sys.modules)))
"""


def test_the_token_function_imports_nothing_of_pictures() -> None:
    """Neither at its start nor when it opens the one store that it reads: its cold start is half as long without."""
    environment = {**os.environ, **AWS, "LOOKALIKE_DATA": ""}
    environment |= {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    done = subprocess.run(
        [sys.executable, "-c", GRANTS], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert "lookalike.stores.aws.dynamodb_applications" in loaded
    assert not loaded & {*PICTURES, *HEAVY} - {"boto3", "botocore.config"}


_APPLICATIONS = ("lookalike.stores.aws.dynamodb_applications",)

#: Of the stores on AWS, those that a function uses, and what no other needs.
NEEDS = {
    "token": (("applications",), _APPLICATIONS),
    "search": (
        ("applications", "catalog", "maps", "index", "originals"),
        (*_APPLICATIONS, "lookalike.stores.aws.opensearch_index"),
    ),
    "index": (
        ("index", "dead_letters"),
        ("lookalike.stores.aws.opensearch_index", "lookalike.stores.aws.sqs_dead_letters"),
    ),
    "ingest": (("objects", "uploads"), ("lookalike.stores.aws.s3_objects",)),
}

OPENS = """
import json, sys
from lookalike import bootstrap
ports = bootstrap.build()
for name in sys.argv[1:]:
    getattr(ports, name)
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("function", sorted(NEEDS))
def test_a_store_on_aws_opens_nothing_but_itself(function: str) -> None:
    stores, needed = NEEDS[function]
    environment = {**os.environ, **AWS, "LOOKALIKE_DATA": "", "LOOKALIKE_DEAD_LETTERS": "http://127.0.0.1:1/dead"}
    environment |= {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    done = subprocess.run(
        [sys.executable, "-c", OPENS, *stores], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    opened = set(json.loads(done.stdout))
    others = {name for _, names in NEEDS.values() for name in names} - set(needed)
    assert opened >= {"boto3", *needed}
    assert not opened & {"onnxruntime", "faiss", *others}


def test_a_bad_model_is_refused_by_its_first_use(tmp_path: Path) -> None:
    ports = bootstrap.build(Settings.from_environment({**AWS, "LOOKALIKE_MODEL": str(tmp_path / "none.onnx")}))
    for _ in range(2):
        with pytest.raises(ModelError, match="no file is there"):
            _ = ports.embedder.model


class Opening:
    """A store that takes its time to be opened."""

    def __init__(self, refusals: int = 0) -> None:
        self.opened = 0
        self.refusals = refusals

    @once
    def store(self) -> object:
        time.sleep(0.05)
        self.opened += 1
        if self.opened <= self.refusals:
            raise SettingsError("not yet")
        return object()


def test_a_store_is_opened_once_by_all_threads_together() -> None:
    stores = Opening()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: stores.store, range(8)))
    assert len(set(map(id, found))) == stores.opened == 1


def test_a_store_that_could_not_be_opened_is_tried_again_and_each_account_has_its_own() -> None:
    stores, others = Opening(refusals=1), Opening()
    with pytest.raises(SettingsError):
        _ = stores.store
    assert stores.store is stores.store
    assert stores.store is not others.store
    assert (stores.opened, others.opened) == (2, 1)


def test_without_stores_it_says_what_to_name() -> None:
    with pytest.raises(SettingsError, match=r"LOOKALIKE_DATA is not set: .*, or the stores of AWS"):
        bootstrap.build(Settings.from_environment({}))
