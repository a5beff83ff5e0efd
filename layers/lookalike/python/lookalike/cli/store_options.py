"""The options that select a command's stores: a folder on this machine, or an AWS account."""

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
    from collections.abc import Collection, Mapping

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="The folder that holds everything. [default: LOOKALIKE_DATA, else data]"),
]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", help="The CloudFormation stack whose stores are meant, in the region of your AWS profile."),
]

#: The template's outputs that name the stores, by setting.
OUTPUTS: Mapping[str, str] = {
    "table": "Table",
    "bucket": "Originals",
    "opensearch": "OpenSearch",
    "key": "Key",
    "uploads": "Uploads",
    "vector_store": "VectorStore",
}

#: Outputs that not every stack has: without a domain, or of the time when each had one.
_OPTIONAL_OUTPUTS = frozenset({"OpenSearch", "VectorStore"})

_DEFAULT_FOLDER = Path("data")


def settings_for(data: Path | None, stack: str | None) -> Settings:
    """Return the environment's settings with the stores of the folder, of the stack, or of the environment.

    Raises InvalidArgument if both are given, and SettingsError if the stack cannot be read.
    """
    if data is not None and stack is not None:
        raise InvalidArgument("--stack", "it goes without --data: the stores are in one place or in the other")
    if stack is not None:
        stores: dict[str, Any] = _stores_of_stack(stack)
        return Settings.from_environment(data=None, **{"opensearch": None, **stores})
    if data is None and (settings := Settings.from_environment()).on_aws:
        require("aws")
        return settings
    return local_settings(data)


def local_settings(data: Path | None) -> Settings:
    """Return the settings with the stores of one machine.

    Raises SettingsError if the environment names stores of AWS as well, or if the folder's path is a file's.
    """
    if data is None:
        data = Settings.from_environment().data or _DEFAULT_FOLDER
    for path in (data, *data.parents):
        if path.is_file():
            raise SettingsError(f"data folder {data}: {path} is a file; name the folder that holds everything")
    return Settings.from_environment(data=data)


def aws_settings(stack: str | None) -> Settings:
    """Return the settings with the stores of the stack, or those of AWS that the environment names.

    Raises SettingsError if there are none.
    """
    settings = settings_for(None, stack) if stack else Settings.from_environment(data=None)
    if not settings.on_aws:
        variables = [setting.metadata["variable"] for setting in fields(Settings) if setting.name in AWS_STORES]
        raise SettingsError(f"which stores? Name a stack with --stack, or set {', '.join(variables)}")
    require("aws")
    return settings


def store_variables(settings: Settings) -> dict[str, str]:
    """Return the variables that give another process the same stores; an empty one counts as absent."""
    return {
        setting.metadata["variable"]: str(getattr(settings, setting.name) or "")
        for setting in fields(Settings)
        if setting.name in ("data", "uploads", "vector_store", *AWS_STORES)
    }


def command_line(*words: str, data: Path | None = None, stack: str | None = None) -> str:
    """Return a command line for a shell, started like this process, on the same stores."""
    program = Path(sys.argv[0])
    started = [sys.argv[0]] if program.name == "lookalike" else [sys.executable, "-m", "lookalike"]
    stores = ["--data", str(data)] if data is not None else ["--stack", stack] if stack is not None else []
    return shlex.join([*started, *words, *stores])


def stack_address(stack: str) -> str:
    """Return the address that a stack answers at. Raises SettingsError if the stack cannot be read."""
    return _outputs_of_stack(stack, ("ApiUrl",))["ApiUrl"]


def _stores_of_stack(stack: str) -> dict[str, str]:
    """Return a stack's stores, by setting. Raises SettingsError if the stack cannot be read."""
    outputs = _outputs_of_stack(stack, set(OUTPUTS.values()) - _OPTIONAL_OUTPUTS)
    return {setting: outputs[name] for setting, name in OUTPUTS.items() if outputs.get(name)}


def _outputs_of_stack(stack: str, wanted: Collection[str]) -> dict[str, str]:
    """Return a stack's outputs. Raises SettingsError if the stack cannot be read, or lacks one that is wanted."""
    require("aws")
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - most commands do without

    from lookalike.stores.aws.session import open_client, open_session  # noqa: PLC0415

    session = open_session()
    try:
        (found,) = open_client(session, "cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(f"the stack {stack} cannot be read in {session.region_name}: {error}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    if missing := [name for name in wanted if name not in outputs]:
        raise SettingsError(f"the stack {stack} has no output {', '.join(missing)}: is it a lookalike, and deployed?")
    return outputs
