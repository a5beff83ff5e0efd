"""The stores of an AWS account, made from the settings that name them."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lookalike.adapters import kms, s3, sqs, table
from lookalike.adapters.dynamodb import DynamoCatalog, DynamoCounters, DynamoGenerations, DynamoMaps, DynamoUploads
from lookalike.adapters.dynamodb_applications import DynamoApplications
from lookalike.adapters.session import open_client, open_session
from lookalike.errors import SettingsError
from lookalike.settings import Settings

if TYPE_CHECKING:
    from botocore.config import Config
    from opensearchpy import OpenSearch

    from lookalike.adapters.opensearch import OpenSearchIndex

#: To OpenSearch: as many as requests are worked on at once, by a server; a function opens one.
_CONNECTIONS = 32


class Account:
    """Each store is opened by its first use. Safe to use from several threads.

    Where clients connect to is the SDK's matter: its region, credentials and ``AWS_ENDPOINT_URL`` variables. Raises
    SettingsError if they say too little, and so does every property whose client the SDK cannot make.

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
        self._session = open_session()
        self._lock = threading.RLock()  # neither sessions nor cached properties are made for several threads

    @property
    def applications(self) -> DynamoApplications:
        """Who may call."""
        return DynamoApplications(self._table, kms.KmsSealer(self._client("kms", kms.CONFIG), self._key))

    @property
    def catalog(self) -> DynamoCatalog:
        """The truth."""
        return DynamoCatalog(self._table)

    @property
    def maps(self) -> DynamoMaps:
        """Local maps."""
        return DynamoMaps(self._table)

    @property
    def uploads(self) -> DynamoUploads:
        """What uploads have become."""
        return DynamoUploads(self._table)

    @property
    def counters(self) -> DynamoCounters:
        """Counts of calls."""
        return DynamoCounters(self._table)

    @property
    def generations(self) -> DynamoGenerations:
        """Which indices are live."""
        return DynamoGenerations(self._table)

    @property
    def originals(self) -> s3.S3Store:
        """Pictures as they were given."""
        return s3.S3Store(self._s3, self._bucket)

    @property
    def objects(self) -> s3.S3Uploads:
        """What was uploaded."""
        return s3.S3Uploads(self._s3)

    @property
    def dead_letters(self) -> sqs.SqsDeadLetters:
        """Where messages end that will never succeed."""
        if not self._settings.dead_letters:
            raise SettingsError("LOOKALIKE_DEAD_LETTERS is not set: name the queue of what cannot be done")
        return sqs.SqsDeadLetters(self._client("sqs", sqs.CONFIG), self._settings.dead_letters)

    @property
    def index(self) -> OpenSearchIndex:
        """What finds neighbours."""
        from lookalike.adapters.opensearch import OpenSearchIndex  # noqa: PLC0415 - slow to import, and few need it

        return OpenSearchIndex(self.opensearch, self.generations, seconds=self._settings.index_seconds)

    @cached_property
    def opensearch(self) -> OpenSearch:
        """The client of the domain."""
        from lookalike.adapters.opensearch import connect  # noqa: PLC0415

        with self._lock:
            # A domain under a name of its own is signed for as well; plain HTTP is never a domain.
            region = self._session.region_name if self._endpoint.startswith("https://") else None
            return connect(self._endpoint, region=region, connections=_CONNECTIONS)

    @cached_property
    def _table(self) -> table.Table:
        return table.Table(self._client("dynamodb", table.CONFIG), self._table_name)

    @cached_property
    def _s3(self) -> Any:
        return self._client("s3", s3.CONFIG)

    def _client(self, service: Any, config: Config) -> Any:
        with self._lock:
            return open_client(self._session, service, config)
