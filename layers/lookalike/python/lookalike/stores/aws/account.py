"""The stores of an AWS account, made from the settings that name them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lookalike.errors import SettingsError
from lookalike.once import once
from lookalike.ports import PictureStore, Stores, UploadStore
from lookalike.settings import Settings

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client
    from opensearchpy import OpenSearch

    from lookalike.stores.aws.dynamodb_applications import DynamoApplications
    from lookalike.stores.aws.dynamodb_catalog import (
        DynamoCatalog,
        DynamoCounters,
        DynamoGenerations,
        DynamoMaps,
        DynamoUploads,
    )
    from lookalike.stores.aws.dynamodb_table import Table
    from lookalike.stores.aws.opensearch_index import OpenSearchIndex
    from lookalike.stores.aws.s3_objects import S3Store
    from lookalike.stores.aws.sqs_dead_letters import SqsDeadLetters

#: To OpenSearch: as many as requests are worked on at once, by a server; a function opens one.
_CONNECTIONS = 32


class Account(Stores):
    """Each store is opened, and its libraries are imported, by its first use. Safe to use from several threads.

    Where clients connect to is the SDK's matter: its region, credentials and ``AWS_ENDPOINT_URL`` variables. Every
    property raises SettingsError if they say too little, or the SDK cannot make its client of them.

    Parameters
    ----------
    settings : must be those of stores on AWS.
    """

    def __init__(self, settings: Settings) -> None:
        if not (settings.table and settings.bucket and settings.opensearch and settings.key):
            raise SettingsError("the stores of AWS are not named")
        self._settings = settings
        self._table_name, self._bucket = settings.table, settings.bucket
        self._endpoint, self._key = settings.opensearch, settings.key
        self._lock = threading.Lock()

    @once
    def applications(self) -> DynamoApplications:
        from lookalike.stores.aws import kms_sealer
        from lookalike.stores.aws.dynamodb_applications import DynamoApplications

        return DynamoApplications(self._table, kms_sealer.KmsSealer(self._client("kms", kms_sealer.CONFIG), self._key))

    @once
    def catalog(self) -> DynamoCatalog:
        from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog

        return DynamoCatalog(self._table)

    @once
    def maps(self) -> DynamoMaps:
        from lookalike.stores.aws.dynamodb_catalog import DynamoMaps

        return DynamoMaps(self._table)

    @once
    def uploads(self) -> DynamoUploads:
        from lookalike.stores.aws.dynamodb_catalog import DynamoUploads

        return DynamoUploads(self._table)

    @once
    def counters(self) -> DynamoCounters:
        from lookalike.stores.aws.dynamodb_catalog import DynamoCounters

        return DynamoCounters(self._table)

    @once
    def generations(self) -> DynamoGenerations:
        """Which indices are read and written."""
        from lookalike.stores.aws.dynamodb_catalog import DynamoGenerations

        return DynamoGenerations(self._table)

    @once
    def originals(self) -> PictureStore:
        return _Originals(self)

    @once
    def objects(self) -> UploadStore:
        from lookalike.stores.aws.s3_objects import S3Uploads

        return S3Uploads(self._s3)

    @once
    def dead_letters(self) -> SqsDeadLetters:
        from lookalike.stores.aws import sqs_dead_letters

        if not self._settings.dead_letters:
            raise SettingsError("LOOKALIKE_DEAD_LETTERS is not set: name the queue of what cannot be done")
        return sqs_dead_letters.SqsDeadLetters(
            self._client("sqs", sqs_dead_letters.CONFIG), self._settings.dead_letters
        )

    @once
    def index(self) -> OpenSearchIndex:
        from lookalike.stores.aws.opensearch_index import OpenSearchIndex

        return OpenSearchIndex(self.opensearch, self.generations, seconds=self._settings.index_seconds)

    @once
    def opensearch(self) -> OpenSearch:
        """The client of the domain."""
        from lookalike.stores.aws.opensearch_index import connect

        # A domain under a name of its own is signed for as well; plain HTTP is never a domain.
        region = self._session.region_name if self._endpoint.startswith("https://") else None
        return connect(self._endpoint, region=region, connections=_CONNECTIONS)

    def problems(self) -> list[str]:
        """None: what is wrong with the services of an account, its alarms tell."""
        return []

    def unreachable(self) -> list[str]:
        """None: the whole table would have to be read."""
        return []

    def close(self) -> None:
        """Nothing to do: clients close their connections when they go."""

    @once
    def _table(self) -> Table:
        from lookalike.stores.aws import dynamodb_table

        return dynamodb_table.Table(self._client("dynamodb", dynamodb_table.CONFIG), self._table_name)

    @once
    def original_store(self) -> S3Store:
        """Originals, opened at once."""
        from lookalike.stores.aws.s3_objects import S3Store

        return S3Store(self._s3, self._bucket)

    @once
    def _s3(self) -> S3Client:
        from lookalike.stores.aws import s3_objects

        client: S3Client = self._client("s3", s3_objects.CONFIG)
        return client

    @once
    def _session(self) -> boto3.Session:
        from lookalike.stores.aws.session import open_session

        return open_session()

    def _client(self, service: Any, config: Config) -> Any:
        from lookalike.stores.aws.session import open_client

        session = self._session
        with self._lock:  # a session does not make clients for several threads
            return open_client(session, service, config)


class _Originals(PictureStore):
    """Opens S3 by its first call: a search is given the originals, and seldom reads one."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def put(self, key: str, data: bytes) -> None:
        self._account.original_store.put(key, data)

    def get(self, key: str) -> bytes | None:
        return self._account.original_store.get(key)

    def remove(self, keys: Sequence[str]) -> None:
        self._account.original_store.remove(keys)
