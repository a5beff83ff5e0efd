"""Which stores a command works with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lookalike.cli.where import environment, on_aws, where
from lookalike.errors import InvalidArgument, SettingsError
from lookalike.settings import Settings

OUTPUTS = {"Table": "table", "Originals": "bucket", "OpenSearch": "https://search.example", "Key": "key", "ApiUrl": "x"}


class CloudFormation:
    """Knows one stack."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - the SDK's name
        if StackName != "mine":
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "DescribeStacks")
        outputs = [{"OutputKey": name, "OutputValue": value} for name, value in self.outputs.items()]
        return {"Stacks": [{"Outputs": outputs}]}


@pytest.fixture(autouse=True)
def outputs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the stack says; and no setting in the environment."""
    for setting in ("DATA", "TABLE", "BUCKET", "OPENSEARCH", "KEY"):
        monkeypatch.delenv(f"LOOKALIKE_{setting}", raising=False)
    given = dict(OUTPUTS)
    monkeypatch.setattr(boto3, "client", lambda service: {"cloudformation": CloudFormation(given)}[service])
    return given


def test_a_stack_names_its_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_DATA", "/elsewhere")
    settings = where(None, "mine")
    assert (settings.table, settings.bucket, settings.opensearch, settings.key) == tuple(OUTPUTS.values())[:4]
    assert settings.data is None
    assert on_aws("mine") == settings


def test_a_folder_is_one_machine() -> None:
    assert where(Path("/a"), None).data == Path("/a")
    assert where(None, None).data == Path("data")


def test_the_environment_says_what_is_not_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_DATA", "/b")
    assert where(None, None).data == Path("/b")
    monkeypatch.delenv("LOOKALIKE_DATA")
    for name, value in environment(where(None, "mine")).items():
        monkeypatch.setenv(name, value)
    assert where(None, None) == on_aws(None) == where(None, "mine")
    with pytest.raises(SettingsError, match=r"LOOKALIKE_DATA and LOOKALIKE_TABLE"):
        where(Path("/a"), None)


def test_another_process_finds_the_same_stores() -> None:
    for settings in (where(Path("/a"), None), where(None, "mine")):
        assert Settings.from_environment(environment(settings)) == settings


def test_both_at_once_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="--stack"):
        where(Path("/a"), "mine")


def test_a_stack_that_is_none_of_ours_is_said(outputs: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"the stack other cannot be read: .* does not exist"):
        where(None, "other")
    del outputs["Table"]
    with pytest.raises(SettingsError, match="the stack mine has no output Table"):
        where(None, "mine")


def test_stores_that_nobody_names_are_asked_for() -> None:
    with pytest.raises(SettingsError, match=r"--stack, or set LOOKALIKE_TABLE, LOOKALIKE_BUCKET"):
        on_aws(None)
