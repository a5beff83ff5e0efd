"""The stores of an AWS account, for a server that watches a folder of its own machine."""

from __future__ import annotations

from pathlib import Path

from lookalike.once import once
from lookalike.ports import UploadStore
from lookalike.settings import Settings
from lookalike.stores.aws.account import Account
from lookalike.stores.local.watched_folder import WatchedFolder


class WatchingAccount(Account):
    """An account whose uploads are the files of a watched folder; everything else is in AWS."""

    def __init__(self, settings: Settings, watch: Path) -> None:
        super().__init__(settings)
        self._watch = watch

    @once
    def objects(self) -> UploadStore:
        return WatchedFolder(self._watch)
