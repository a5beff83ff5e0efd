"""The options and variables that select a command's stores."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lookalike.cli.store_options import aws_settings, command_line, settings_for, store_variables
from lookalike.errors import InvalidArgument, SettingsError
from lookalike.settings import Settings

OUTPUTS = {
    "Table": "table",
    "Originals": "bucket",
    "OpenSearch": "https://search.example",
    "Key": "key",
    "Uploads": "uploads",
    "ApiUrl": "x",
}
ACCOUNT = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class CloudFormation:
    """A CloudFormation client with one stack."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - the SDK's name
        if StackName != "mine":
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "DescribeStacks")
        outputs = [{"OutputKey": name, "OutputValue": value} for name, value in self.outputs.items()]
        return {"Stacks": [{"Outputs": outputs}]}


@pytest.fixture(autouse=True)
def outputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Return the outputs of a stack; the environment has an account and no settings."""
    for setting in ("DATA", "TABLE", "BUCKET", "OPENSEARCH", "KEY", "UPLOADS"):
        monkeypatch.delenv(f"LOOKALIKE_{setting}", raising=False)
    given = dict(OUTPUTS)
    monkeypatch.setattr(
        boto3.Session, "client", lambda _, service, config: {"cloudformation": CloudFormation(given)}[service]
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    return given


def test_a_stack_names_its_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_DATA", "/elsewhere")
    settings = settings_for(None, "mine")
    stores = (settings.table, settings.bucket, settings.opensearch, settings.key, settings.uploads)
    assert stores == tuple(OUTPUTS.values())[:5]
    assert settings.data is None
    assert aws_settings("mine") == settings


def test_a_folder_is_one_machine() -> None:
    assert settings_for(Path("/a"), None).data == Path("/a")
    assert settings_for(None, None).data == Path("data")


def test_without_options_the_stores_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_DATA", "/b")
    assert settings_for(None, None).data == Path("/b")
    monkeypatch.delenv("LOOKALIKE_DATA")
    for name, value in store_variables(settings_for(None, "mine")).items():
        monkeypatch.setenv(name, value)
    assert settings_for(None, None) == aws_settings(None) == settings_for(None, "mine")
    with pytest.raises(SettingsError, match=r"LOOKALIKE_DATA and LOOKALIKE_TABLE"):
        settings_for(Path("/a"), None)


def test_another_process_finds_the_same_stores() -> None:
    for settings in (settings_for(Path("/a"), None), settings_for(None, "mine")):
        assert Settings.from_environment(store_variables(settings)) == settings


def test_both_at_once_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="--stack"):
        settings_for(Path("/a"), "mine")


def test_a_stack_that_is_missing_or_not_lookalikes_is_an_error(outputs: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"the stack other cannot be read in eu-west-1: .* does not exist"):
        settings_for(None, "other")
    del outputs["Table"]
    with pytest.raises(SettingsError, match="the stack mine has no output Table"):
        settings_for(None, "mine")


def test_without_store_names_the_error_lists_the_options_and_variables() -> None:
    with pytest.raises(SettingsError, match=r"--stack, or set LOOKALIKE_TABLE, LOOKALIKE_BUCKET"):
        aws_settings(None)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_REGION", "", "AWS: which region? Set AWS_REGION, or AWS_PROFILE to a profile that names one"),
        ("AWS_ACCESS_KEY_ID", "", "AWS: there are no credentials; set AWS_PROFILE, or run `aws configure`"),
        ("AWS_PROFILE", "none", "AWS: The config profile (none) could not be found; set AWS_PROFILE, or run"),
    ],
)
def test_an_account_that_the_environment_does_not_name_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    if variable == "AWS_ACCESS_KEY_ID":
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        settings_for(None, "mine")
    assert str(raised.value).startswith(said)


def test_an_endpoint_that_is_no_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for name, value in {**ACCOUNT, "AWS_ENDPOINT_URL": "nonsense"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=r"^AWS: Invalid endpoint: nonsense$"):
        settings_for(None, "mine")


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for data in (file, file / "below"):
        with pytest.raises(SettingsError, match=f"data folder {data}: {file} is a file"):
            settings_for(data, None)


def test_packages_that_are_missing_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lookalike.cli.extras.find_spec", lambda name: None if name == "boto3" else name)
    with pytest.raises(SettingsError, match=r"^boto3 not installed: run `make setup WITH=aws`$"):
        settings_for(None, "mine")


@pytest.mark.parametrize(
    ("program", "started"), [(".venv/bin/lookalike", ".venv/bin/lookalike"), ("x.py", f"{sys.executable} -m lookalike")]
)
def test_a_command_to_paste_is_started_as_this_one_and_means_the_same_stores(
    monkeypatch: pytest.MonkeyPatch, program: str, started: str
) -> None:
    monkeypatch.setattr(sys, "argv", [program])
    assert command_line("keys", "list") == f"{started} keys list"
    assert command_line("keys", "list", data=Path("a b")) == f"{started} keys list --data 'a b'"
    assert shlex.split(command_line("keys", "list", stack="mine"))[-2:] == ["--stack", "mine"]
