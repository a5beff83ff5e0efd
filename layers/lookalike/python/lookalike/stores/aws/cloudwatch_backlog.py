"""The backlog of a stack, from the metrics that AWS keeps of its index function and its queues of dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypedDict

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lookalike.domain.backlog import Backlog
from lookalike.errors import Unavailable
from lookalike.ports.backlog import Backlogs

#: Configuration of the client: somebody waits.
CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})

#: Seconds that are looked back at. Lambda and SQS report every minute, and up to three minutes late; an index function
#: that has nothing to do reports nothing.
_SECONDS = 600

_PERIOD_SECONDS = 60


class _Result(TypedDict):
    Id: str
    Values: list[float]


class _Results(TypedDict):
    MetricDataResults: list[_Result]


class CloudWatchClient(Protocol):
    """What is needed of the SDK's client."""

    def get_metric_data(self, **asked: object) -> _Results:
        """Return metrics' values (Amazon CloudWatch API reference, "GetMetricData")."""


class CloudWatchBacklog(Backlogs):
    """Reads the newest values of metrics, all in one request ($0.01 per thousand metrics).

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    index_function : name of the function that reads the table's stream; empty: the lag is not known.
    queues : names of the queues of dead letters; without one, their number is not known.
    clock : Unix milliseconds.
    """

    def __init__(
        self, client: CloudWatchClient, index_function: str, queues: Sequence[str], clock: Callable[[], int]
    ) -> None:
        self._client = client
        self._function = index_function
        self._queues = queues
        self._clock = clock

    def backlog(self) -> Backlog:
        queries = list(self._queries())
        if not queries:
            return Backlog()
        now = datetime.fromtimestamp(self._clock() / 1000, UTC)
        try:
            found = self._client.get_metric_data(
                MetricDataQueries=queries,
                StartTime=now - timedelta(seconds=_SECONDS),
                EndTime=now,
                ScanBy="TimestampDescending",
            )["MetricDataResults"]
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"CloudWatch: {error}") from error
        newest = {one["Id"]: next(iter(one["Values"]), 0.0) for one in found}
        letters = sum(value for name, value in newest.items() if name != "lag")
        return Backlog(
            lag_ms=int(newest.get("lag", 0)) if self._function else None,
            dead_letters=int(letters) if self._queues else None,
        )

    def _queries(self) -> Iterator[Mapping[str, object]]:
        if self._function:
            yield _query("lag", "AWS/Lambda", "IteratorAge", "FunctionName", self._function)
        for number, queue in enumerate(self._queues):
            yield _query(f"dead{number}", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue)


def _query(name: str, namespace: str, metric: str, dimension: str, value: str) -> Mapping[str, object]:
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": dimension, "Value": value}],
            },
            "Period": _PERIOD_SECONDS,
            "Stat": "Maximum",
        },
    }
