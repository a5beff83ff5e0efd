"""Commands that a running server on this machine does itself, and this process where none runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from rich.console import Console

from lookalike import bootstrap
from lookalike.cli.screen import note
from lookalike.server.commands import COMMANDS
from lookalike.server.control import ask_server
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import DataFolder


def ask(settings: Settings, command: str, arguments: Mapping[str, Any]) -> str:
    """Return the command's answer in JSON. Raises RefusedError, Unavailable, or whatever the use case does."""
    with _telling() as tell:
        if settings.data is not None:
            told = ask_server(DataFolder.existing(settings.data).control, command, arguments, tell)
            if told is not None:
                return told
            note(
                "no server runs on this folder: its index is taken from its files and brought up to the catalog, as by each "
                "start"
            )
        with closing(bootstrap.build(settings)) as ports:
            return COMMANDS[command](ports, arguments, tell)


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show what is being done, where a terminal is."""
    if not sys.stderr.isatty():
        yield lambda _doing: None
        return
    with Console(stderr=True).status("Working") as status:
        yield lambda doing: status.update(f"Working: {doing}")
