"""Where the stores are that a command works with: a folder on this machine, or an AWS account."""

from __future__ import annotations

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lookalike.cli.extras import require
from lookalike.errors import InvalidArgument, SettingsError
from lookalike.settings import AWS_STORES, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

Data = Annotated[
    Path | None,
    typer.Option("--data", help="The folder that holds everything. [default: LOOKALIKE_DATA, else data]"),
]
Stack = Annotated[
    str | None,
    typer.Option("--stack", help="The CloudFormation stack whose stores are meant, in the region of your AWS profile."),
]

#: Outputs of the template that name the stores, by setting.
OUTPUTS: Mapping[str, str] = {"table": "Table", "bucket": "Originals", "opensearch": "OpenSearch", "key": "Key"}

_FOLDER = Path("data")


def where(data: Path | None, stack: str | None) -> Settings:
    """The environment's settings with the stores that are meant: the folder's, the stack's, or the environment's own.

    Raises InvalidArgument if both are named, and SettingsError if the stack cannot be read.
    """
    if data is not None and stack is not None:
        raise InvalidArgument("--stack", "it goes without --data: the stores are in one place or in the other")
    if stack is not None:
        stores: dict[str, Any] = _stores_of(stack)
        return Settings.from_environment(data=None, **stores)
    if data is None and (settings := Settings.from_environment()).on_aws:
        require("aws")
        return settings
    return here(data)


def here(data: Path | None) -> Settings:
    """The settings with the stores of one machine.

    Raises SettingsError if the environment names others as well, or if a file is where the folder should be.
    """
    if data is None:
        data = Settings.from_environment().data or _FOLDER
    for path in (data, *data.parents):
        if path.is_file():
            raise SettingsError(f"data folder {data}: {path} is a file; name the folder that holds everything")
    return Settings.from_environment(data=data)


def on_aws(stack: str | None) -> Settings:
    """The settings with the stores of the stack, else those of AWS that the environment names.

    Raises SettingsError if there are none.
    """
    settings = where(None, stack) if stack else Settings.from_environment(data=None)
    if not settings.on_aws:
        variables = [setting.metadata["variable"] for setting in fields(Settings) if setting.name in AWS_STORES]
        raise SettingsError(f"which stores? Name a stack with --stack, or set {', '.join(variables)}")
    require("aws")
    return settings


def environment(settings: Settings) -> dict[str, str]:
    """The variables by which another process finds the same stores; an empty one counts as absent."""
    return {
        setting.metadata["variable"]: str(getattr(settings, setting.name) or "")
        for setting in fields(Settings)
        if setting.name in ("data", *AWS_STORES)
    }


def command_line(*words: str, data: Path | None = None, stack: str | None = None) -> str:
    """A command to paste into a shell, started as this one was, on the stores that this one was given."""
    program = Path(sys.argv[0])
    started = [sys.argv[0]] if program.name == "lookalike" else [sys.executable, "-m", "lookalike"]
    stores = ["--data", str(data)] if data is not None else ["--stack", stack] if stack is not None else []
    return shlex.join([*started, *words, *stores])


def _stores_of(stack: str) -> dict[str, str]:
    require("aws")
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - most commands do without

    from lookalike.stores.aws.session import open_client, open_session  # noqa: PLC0415

    session = open_session()
    try:
        (found,) = open_client(session, "cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(f"the stack {stack} cannot be read in {session.region_name}: {error}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    if missing := [name for name in OUTPUTS.values() if name not in outputs]:
        raise SettingsError(f"the stack {stack} has no output {', '.join(missing)}: is it a lookalike, and deployed?")
    return {setting: outputs[name] for setting, name in OUTPUTS.items()}
