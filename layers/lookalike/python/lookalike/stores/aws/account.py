"""The stores of an AWS account, opened as the settings name them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lookalike.domain.inventory import StoredFile
from lookalike.errors import SettingsError
from lookalike.once import once
from lookalike.ports import Backlogs, Indices, PictureStore, StagedFiles, Stores, UploadStore, VectorIndex
from lookalike.ports.clock import unix_milliseconds
from lookalike.settings import SEGMENTS, Settings

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client
    from opensearchpy import OpenSearch

    from lookalike.stores.aws.dynamodb_applications import DynamoApplications
    from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
    from lookalike.stores.aws.dynamodb_counters import DynamoCounters
    from lookalike.stores.aws.dynamodb_embeddings import DynamoEmbeddings
    from lookalike.stores.aws.dynamodb_generations import DynamoGenerations
    from lookalike.stores.aws.dynamodb_maps import DynamoMaps
    from lookalike.stores.aws.dynamodb_records import DynamoRecords
    from lookalike.stores.aws.dynamodb_table import Table
    from lookalike.stores.aws.dynamodb_uploads import DynamoUploads
    from lookalike.stores.aws.opensearch_index import OpenSearchIndex
    from lookalike.stores.aws.opensearch_models import OpenSearchModels
    from lookalike.stores.aws.s3_models import S3Models
    from lookalike.stores.aws.s3_objects import S3Store
    from lookalike.stores.aws.segment_models import SegmentModels
    from lookalike.stores.aws.sqs_dead_letters import SqsDeadLetters
    from lookalike.stores.aws.store_in_use import StoreInUse

#: Connections to OpenSearch: as many as a server processes requests at once. A function opens one.
_CONNECTIONS = 32


class Account(Stores):
    """Opens each store, and imports its libraries, on first use. Safe to use from several threads.

    Endpoints, region and credentials are the SDK's: its environment variables, ``AWS_ENDPOINT_URL`` included. Every
    property raises SettingsError if these do not describe a client.

    Parameters
    ----------
    settings : with the stores of AWS named.
    """

    def __init__(self, settings: Settings) -> None:
        if not (settings.table and settings.bucket and settings.key):
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
        from lookalike.stores.aws.dynamodb_maps import DynamoMaps

        return DynamoMaps(self._table)

    @once
    def uploads(self) -> DynamoUploads:
        from lookalike.stores.aws.dynamodb_uploads import DynamoUploads

        return DynamoUploads(self._table)

    @once
    def counters(self) -> DynamoCounters:
        from lookalike.stores.aws.dynamodb_counters import DynamoCounters

        return DynamoCounters(self._table)

    @once
    def records(self) -> DynamoRecords:
        from lookalike.stores.aws.dynamodb_records import DynamoRecords

        return DynamoRecords(self._table)

    @once
    def generations(self) -> DynamoGenerations:
        """Names of the indices that each kind's pictures are read from and written to."""
        from lookalike.stores.aws.dynamodb_generations import DynamoGenerations

        return DynamoGenerations(self._table)

    @once
    def embeddings(self) -> DynamoEmbeddings:
        from lookalike.stores.aws.dynamodb_embeddings import DynamoEmbeddings

        return DynamoEmbeddings(self._table)

    @once
    def model_files(self) -> S3Models:
        from lookalike.stores.aws.s3_models import S3Models

        return S3Models(self._s3, self._bucket)

    @property
    def indices(self) -> Indices:
        """The indices of the vector store that searches."""
        return self.segment_models if self._settings.vector_store == SEGMENTS else self.opensearch_models

    @once
    def segment_models(self) -> SegmentModels:
        """An index of segments for each model."""
        from lookalike.stores.aws.segment_models import SegmentModels
        from lookalike.stores.aws.segment_objects import SegmentObjects

        objects = SegmentObjects(self._s3, self._bucket)
        return SegmentModels(self._table, objects, self.catalog, self.embeddings)

    @once
    def opensearch_models(self) -> OpenSearchModels:
        """An OpenSearch index for each kind and model."""
        from lookalike.stores.aws.opensearch_models import OpenSearchModels

        return OpenSearchModels(self.opensearch, self._table, self._settings.index_seconds)

    @once
    def originals(self) -> PictureStore:
        return _Originals(self)

    @once
    def objects(self) -> UploadStore:
        from lookalike.stores.aws.s3_objects import S3Uploads

        return S3Uploads(self._s3)

    @once
    def staged(self) -> StagedFiles:
        from lookalike.stores.aws import s3_staging

        if not self._settings.uploads:
            return s3_staging.NoStaging()
        return s3_staging.S3Staging(self._s3, self._settings.uploads)

    @once
    def dead_letters(self) -> SqsDeadLetters:
        from lookalike.stores.aws import sqs_dead_letters

        if not self._settings.dead_letters:
            raise SettingsError("LOOKALIKE_DEAD_LETTERS is not set: name the queue of what cannot be done")
        return sqs_dead_letters.SqsDeadLetters(
            self._client("sqs", sqs_dead_letters.CONFIG), self._settings.dead_letters
        )

    @once
    def backlogs(self) -> Backlogs:
        from lookalike.stores.aws import cloudwatch_backlog

        client = self._client("cloudwatch", cloudwatch_backlog.CONFIG)
        settings = self._settings
        return cloudwatch_backlog.CloudWatchBacklog(
            client, settings.index_function or "", settings.dead_letter_queues, unix_milliseconds
        )

    @property
    def index(self) -> VectorIndex:
        """The index of the vector store that searches."""
        return self.segment_models.shared if self._settings.vector_store == SEGMENTS else self.opensearch_index

    @once
    def store_in_use(self) -> StoreInUse:
        """Which vector store was filled last."""
        from lookalike.stores.aws.store_in_use import StoreInUse

        return StoreInUse(self._table)

    @once
    def opensearch_index(self) -> OpenSearchIndex:
        """The indices of the OpenSearch domain."""
        from lookalike.stores.aws.opensearch_index import OpenSearchIndex

        return OpenSearchIndex(self.opensearch, self.generations, seconds=self._settings.index_seconds)

    @once
    def opensearch(self) -> OpenSearch:
        """The client of the OpenSearch domain."""
        from lookalike.stores.aws.opensearch_client import connect

        if self._endpoint is None:
            raise SettingsError("LOOKALIKE_OPENSEARCH is not set: name the domain")
        # Requests to a domain with a custom name are signed too; an endpoint of plain HTTP is never a domain.
        region = self._session.region_name if self._endpoint.startswith("https://") else None
        return connect(self._endpoint, region=region, connections=_CONNECTIONS)

    def problems(self) -> list[str]:
        """None: the account's alarms report problems of its services."""
        return []

    def unreachable(self) -> list[str]:
        """None: finding them would require reading the whole table."""
        return []

    def close(self) -> None:
        """Does nothing: clients close their connections when they are collected."""

    @once
    def _table(self) -> Table:
        from lookalike.stores.aws import dynamodb_table

        return dynamodb_table.Table(self._client("dynamodb", dynamodb_table.CONFIG), self._table_name)

    @once
    def original_store(self) -> S3Store:
        """The store of originals, opened at once."""
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
        with self._lock:  # a session is not safe to make clients from several threads
            return open_client(session, service, config)


class _Originals(PictureStore):
    """Originals; S3 is opened by the first call, since a search is given this store and seldom reads from it."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def put(self, key: str, data: bytes) -> None:
        self._account.original_store.put(key, data)

    def get(self, key: str) -> bytes | None:
        return self._account.original_store.get(key)

    def size(self, key: str) -> int | None:
        return self._account.original_store.size(key)

    def place(self, key: str, content_type: str, seconds: int) -> str:
        return self._account.original_store.place(key, content_type, seconds)

    def remove(self, keys: Sequence[str]) -> None:
        self._account.original_store.remove(keys)

    def stored(self) -> Iterator[Sequence[StoredFile]]:
        return self._account.original_store.stored()

    def name_of(self, key: str) -> str:
        return self._account.original_store.name_of(key)

    def remove_stored(self, names: Sequence[str]) -> None:
        self._account.original_store.remove_stored(names)
