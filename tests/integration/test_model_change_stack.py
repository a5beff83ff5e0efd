"""``lookalike reembed`` on a stack's stores: moto's table and bucket, and a real OpenSearch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from typer.testing import CliRunner, Result

from lookalike import bootstrap
from lookalike.cli.main import app
from lookalike.cli.store_options import aws_settings
from lookalike.domain.library import Kind, LibraryRef
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.ports import Ports
from lookalike.server import model_changes
from lookalike.service.add import Add, add
from lookalike.service.image_source import Source
from lookalike.service.model_view import current
from lookalike.service.search import Search, search
from lookalike.stores.aws.account import Account
from lookalike.stores.aws.dynamodb_table import create_table
from tests.servers import aws
from tests.servers.opensearch.server import shared
from tests.support.photographs import NAMES, ROOT, jpeg, photograph, png

pytestmark = pytest.mark.slow  # both models are opened several times

BOUNDS = Bounds(1 << 24, 1, 5000, 1 << 24, FORMATS)
LARGE = ROOT / "layers/model/large/model.onnx"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account with indices and without pictures, which the environment names."""
    url, table = shared(), f"table-{uuid4().hex}"
    with aws.emulated() as services:
        for name, value in services.items():
            monkeypatch.setenv(name, value)
        create_table(boto3.client("dynamodb"), table)
        boto3.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        given = {"TABLE": table, "BUCKET": "bucket", "KEY": key, "OPENSEARCH": url, "DATA": "", "INDEX_SECONDS": "30"}
        for name, value in given.items():
            monkeypatch.setenv(f"LOOKALIKE_{name}", value)
        monkeypatch.setattr(model_changes, "SETTLE_SECONDS_AWS", 0.0)
        assert CliRunner().invoke(app, ["setup"]).exit_code == 0
        made = Account(aws_settings(None))
        yield made
        made.opensearch.indices.delete(index=f"lookalike-{table}-*")


def run(*options: object) -> Result:
    done = CliRunner().invoke(app, ["reembed", *map(str, options)])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done


def state() -> Any:
    return json.loads(run("--json").stdout)["models"]


def first(ports: Ports, ref: LibraryRef, name: str) -> str:
    now = current(ports)
    found = search(now, Search(ref, Source(BOUNDS, data=jpeg(photograph(name, 150), 70)))).matches
    assert now.embedder.model == (now.view.model.name if now.view else "lite0-224-2")
    return found[0].candidate.digest


def test_a_stack_changes_its_model_and_drops_the_one_before(account: Account, tmp_path: Path) -> None:
    (application,) = account.applications.applications()
    refs = [LibraryRef(application.tenant, kind.value, kind) for kind in (Kind.SAME, Kind.SIMILAR)]
    with closing(bootstrap.build(aws_settings(None))) as ports:
        for ref in refs:
            for name in NAMES[:3]:
                add(ports, Add(ref, Source(BOUNDS, data=png(photograph(name, 200)))))
        before = [first(ports, ref, NAMES[0]) for ref in refs]
    old = {kind: account.generations.generation(kind) for kind in Kind}
    run("--model", LARGE, "--rate", 1000)
    assert state()["phase"] == "filled"
    said = run("--compare", 6, "--report", tmp_path / "report").output
    assert "Of 6 pictures, 0 have another first answer" in said
    assert "<section>" in (tmp_path / "report/index.html").read_text()
    assert "Searches use lite2-260-1" in run("--switch").output
    with closing(bootstrap.build(aws_settings(None))) as ports:
        assert [first(ports, ref, NAMES[0]) for ref in refs] == before
        add(current(ports), Add(refs[0], Source(BOUNDS, data=png(photograph(NAMES[4], 200)))))
    assert "Searches use lite0-224-2" in run("--back").output
    with closing(bootstrap.build(aws_settings(None))) as ports:
        assert first(ports, refs[0], NAMES[4])
    run("--switch")
    assert "there is no other model" in run("--drop").output
    with closing(bootstrap.build(aws_settings(None))) as ports:
        assert [first(ports, ref, NAMES[0]) for ref in refs] == before
        assert first(ports, refs[0], NAMES[4])
    for kind in Kind:
        now = account.generations.generation(kind)
        assert now is not None
        assert now != old[kind]
        assert account.opensearch.indices.exists(index=now.read)
        assert old[kind] is not None
        assert not account.opensearch.indices.exists(index=old[kind].read)  # type: ignore[union-attr]
    checked = CliRunner().invoke(app, ["check"])
    assert "Nothing differs." in checked.output, checked.output
