"""Logs and metrics: structured lines through Powertools, with nothing of a request kept on a module.

Pictures, vectors, tokens, secrets and Authorization headers are never handed to these functions.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from lookalike.settings import Settings

#: Where CloudWatch shows the metrics.
NAMESPACE = "lookalike"

#: Structured lines on stderr: stdout is for metrics in Lambda, and for the one ready line on one machine.
logger = Logger(service=NAMESPACE, stream=sys.stderr, level="INFO")


def count(settings: Settings, dimensions: Mapping[str, str], figures: Mapping[str, float]) -> None:
    """Write one EMF line of counts; a figure called ``Latency`` is in milliseconds. Nothing if metrics are off."""
    if not settings.metrics:
        return
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    if settings.stack is not None:  # two stacks of one account are two things to watch
        metrics.add_dimension("stack", settings.stack)
    for name, value in dimensions.items():
        metrics.add_dimension(name, value)
    for name, figure in figures.items():
        unit = MetricUnit.Milliseconds if name == "Latency" else MetricUnit.Count
        metrics.add_metric(name, unit, figure)
    metrics.flush_metrics()


def fail(settings: Settings, trigger: str, failures: int = 1) -> None:
    """Count what went wrong on our side, whoever asked: ``trigger`` is request, ingest or index.

    An alarm watches a metric by its exact dimensions, so this one has no others. Nothing if there were no failures.
    """
    if failures:
        count(settings, {"trigger": trigger}, {"Failures": failures})
