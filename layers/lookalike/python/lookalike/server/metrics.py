"""``GET /metrics`` of one machine: what it does and how it is, in Prometheus's text format.

Names are Prometheus's: base units, and ``_total`` for counts. Nothing here names an application, a library or a picture.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

import lookalike
from lookalike.errors import AccessError, LimitReached, LookalikeError
from lookalike.ports import Ports
from lookalike.server import api_gateway, import_progress
from lookalike.server.health import Health
from lookalike.server.import_progress import ImportProgress
from lookalike.server.request_queue import QueuedCall
from lookalike.server.workers.pool import Census
from lookalike.server.workers.usage import usage_of
from lookalike.service.admission import Callers, check
from lookalike.service.model_view import current
from lookalike.wire import basic_auth

#: Upper bounds of the histograms, in seconds: from a look-up of a row to a picture that is downloaded slowly.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)

#: Dialects by the first part of a path; any other path is nobody's.
_DIALECTS = {
    "rest": "baidu",
    "rpc": "baidu",
    "oauth": "baidu",
    "v1": "qiniu",
    "image": "jumdata",
    "api": "native",
    "console": "console",
}

_CHALLENGE = ("www-authenticate", 'Basic realm="lookalike", charset="UTF-8"')

disable_created_metrics()  # type: ignore[no-untyped-call]  # they are one more series for each, which nothing reads


class Metrics:
    """Counts what is answered, and says how the server is.

    Whoever calls from this machine itself may read it, without a key; others need the access key and the secret key of an
    application that is not narrowed, by HTTP Basic.

    Parameters
    ----------
    waiting : returns the number of requests that wait for their turn.
    workers : returns the search processes.
    """

    def __init__(
        self, ports: Ports, health: Health, waiting: Callable[[], int], workers: Callable[[], Census] = Census
    ) -> None:
        self._ports = ports
        self._imports = ImportProgress()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_State(ports, health, waiting))
        self._registry.register(_Workers(workers))
        self._registry.register(_Imports(self._imports))
        self._requests = Counter(
            "lookalike_requests", "Requests answered.", ("operation", "dialect", "outcome"), registry=self._registry
        )
        self._seconds = Histogram(
            "lookalike_request_seconds",
            "Time from a request's arrival to its answer.",
            ("operation", "dialect"),
            buckets=_BOUNDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "lookalike_search_stage_seconds",
            "Time of a search's stages, of all its looks together.",
            ("stage",),
            buckets=_BOUNDS,
            registry=self._registry,
        )

    def observe(self, operation: str, request: api_gateway.HttpRequest, call: QueuedCall, seconds: float) -> None:
        """Count a request that was answered."""
        dialect = _DIALECTS.get(request.path.lstrip("/").partition("/")[0], "none")
        if call.outcome == "ok" and (said := _header(request, import_progress.HEADER)):
            self._imports.note(said)
        self._requests.labels(operation, dialect, call.outcome or "none").inc()
        self._seconds.labels(operation, dialect).observe(seconds)
        for stage, milliseconds in call.stages.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def answer(self, request: api_gateway.HttpRequest) -> api_gateway.HttpResponse:
        """Answer with all metrics; 401 for whoever may not read them."""
        try:
            self._authorise(request)
        except (AccessError, LimitReached) as error:
            refused = api_gateway.refusal(401, "Unauthorized", error.explanation)
            return replace(refused, headers=(*refused.headers, _CHALLENGE))
        except LookalikeError as error:
            return replace(api_gateway.UNAVAILABLE, reason=error.explanation)
        headers = (("content-type", CONTENT_TYPE_PLAIN_0_0_4), ("cache-control", "no-store"))
        return api_gateway.HttpResponse(200, headers, generate_latest(self._registry))

    def _authorise(self, request: api_gateway.HttpRequest) -> None:
        """Raise AccessError or LimitReached if the caller may not read metrics."""
        if _is_loopback(request.client) and (request.host == "localhost" or _is_loopback(request.host.strip("[]"))):
            return  # a page that has this machine's browser call it under another name is not on this machine
        application = basic_auth.verify(Callers(self._ports), _header(request, "authorization"))
        check(application, request.client)
        if application.policy.may or application.policy.libraries:
            raise AccessError("a narrowed key reads no metrics")


def _header(request: api_gateway.HttpRequest, name: str) -> str:
    """Return the header's value; empty if there is none."""
    return next((value for given, value in request.headers if given.lower() == name), "")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


class _State(Collector):
    """How the server is when it is asked. What cannot be had is left out."""

    def __init__(self, ports: Ports, health: Health, waiting: Callable[[], int]) -> None:
        self._ports = ports
        self._health = health
        self._waiting = waiting

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Return nothing: registering must not ask any store."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        info = GaugeMetricFamily("lookalike_info", "Version and model.", labels=("version", "model"))
        with suppress(LookalikeError):
            info.add_metric((lookalike.__version__, current(self._ports).embedder.model), 1)
        yield info
        yield GaugeMetricFamily("lookalike_waiting_requests", "Requests that wait for their turn.", self._waiting())
        yield GaugeMetricFamily("lookalike_failing_stores", "Stores that do not answer.", len(self._health.failing()))
        yield GaugeMetricFamily(
            "lookalike_problems", "Problems of the stores, as /status says them.", len(self._ports.problems())
        )
        with suppress(LookalikeError):
            yield GaugeMetricFamily("lookalike_searchable_pictures", "Pictures that searches find.", self._searchable())
        with suppress(LookalikeError):
            letters = self._ports.backlogs.backlog().dead_letters
            if letters is not None:
                yield GaugeMetricFamily("lookalike_dead_letters", "Messages that will never succeed.", letters)
        with suppress(OSError):
            if self._ports.settings.data is not None:
                free = shutil.disk_usage(self._ports.settings.data).free
                yield GaugeMetricFamily("lookalike_disk_free_bytes", "Room on the data folder's disk.", free)

    def _searchable(self) -> int:
        tenants = {application.tenant for application in self._ports.applications.applications()}
        libraries = (library for tenant in tenants for library in self._ports.catalog.libraries(tenant))
        index = current(self._ports).index
        return sum(index.count(library.uid) for library in libraries)


class _Workers(Collector):
    """The search processes. One that is started in place of a lost one has its number, and begins at nothing."""

    def __init__(self, workers: Callable[[], Census]) -> None:
        self._workers = workers

    def describe(self) -> Iterator[Metric]:
        """Return nothing: there may be none yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield their number, and what each has used."""
        census = self._workers()
        yield GaugeMetricFamily("lookalike_search_processes", "Search processes that run.", len(census.pids))
        yield CounterMetricFamily(
            "lookalike_search_processes_started", "Search processes that were ever started.", census.started
        )
        labels = ("process",)
        seconds = CounterMetricFamily(
            "lookalike_search_process_cpu_seconds", "Processor time of each search process.", labels=labels
        )
        memory = GaugeMetricFamily(
            "lookalike_search_process_resident_memory_bytes", "Memory of each search process.", labels=labels
        )
        for place, pid in sorted(census.pids.items()):
            if (used := usage_of(pid)) is not None:
                seconds.add_metric((str(place),), used.cpu_seconds)
                memory.add_metric((str(place),), used.resident_bytes)
        yield from (seconds, memory)


class _Imports(Collector):
    """How far imports are that add to this server."""

    def __init__(self, progress: ImportProgress) -> None:
        self._progress = progress

    def describe(self) -> Iterator[Metric]:
        """Return nothing, likewise."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the imports under way and their rows."""
        now = self._progress.now()
        yield GaugeMetricFamily("lookalike_imports", "Imports under way.", now.running)
        yield GaugeMetricFamily("lookalike_import_rows_done", "Rows that these imports have done.", now.done)
        yield GaugeMetricFamily("lookalike_import_rows_left", "Rows that they have left.", now.left)
