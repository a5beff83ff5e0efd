"""Writes logs and metrics: structured lines through Powertools, without request state in a module.

Never pass pictures, vectors, tokens, secrets or Authorization headers to these functions.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from lookalike.errors import LookalikeError, Unavailable
from lookalike.settings import Settings

#: The CloudWatch namespace of the metrics.
NAMESPACE = "lookalike"

#: Characters of a reason or remedy in a log line.
_MAX_REASON = 300

#: Access tokens, sessions and links, and credentials after the scheme of an Authorization header, wherever a caller may have put them.
_SECRETS = re.compile(
    r"\b(?:2[45]|[slm]1)\.[0-9A-Za-z]{8,}\.[0-9A-Za-z._-]*|(?<=Qiniu )(?!<)\S+|(?<=QBox )(?!<)\S+|(?<=bce-auth-v1/)(?!<)\S+"
)

#: Logs to stderr: stdout is for metrics in Lambda, and for the line that reports a ready server on one machine.
logger = Logger(service=NAMESPACE, stream=sys.stderr, level="INFO")


def count(settings: Settings, dimensions: Mapping[str, str], figures: Mapping[str, float]) -> None:
    """Write one EMF line of counts, if metrics are on; a figure named ``Latency`` is in milliseconds."""
    if not settings.metrics:
        return
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    if settings.stack is not None:  # two stacks of one account are watched separately
        metrics.add_dimension("stack", settings.stack)
    for name, value in dimensions.items():
        metrics.add_dimension(name, value)
    for name, figure in figures.items():
        unit = MetricUnit.Milliseconds if name == "Latency" else MetricUnit.Count
        metrics.add_metric(name, unit, figure)
    metrics.flush_metrics()


def error_fields(error: BaseException) -> dict[str, str]:
    """Return the fields ``reason`` and ``remedy`` of a log line about an error, without empty ones.

    They are single lines of printable characters, of bounded length, without tokens and signatures. The message of a
    foreign error may contain anything, so only its class is named; its traceback is logged elsewhere.
    """
    if isinstance(error, LookalikeError):
        fields = {"reason": error.explanation or type(error).__name__, "remedy": error.remedy}
    else:
        fields = {"reason": f"internal error: {type(error).__name__}", "remedy": "its traceback is in the line before"}
    return {name: printable(text) for name, text in fields.items() if text}


def log_failure(error: Exception, log_fields: Mapping[str, object]) -> None:
    """Log the traceback of an internal error with the call's ``log_fields``.

    Nothing is logged for a store that did not answer or refused a write: the line about the call names it, and a full
    disk would cause many tracebacks.
    """
    if not isinstance(error, Unavailable):
        logger.error("failed", exc_info=error, extra=dict(log_fields))


def printable(text: str) -> str:
    """Return untrusted text as one harmless line: truncated, unprintable characters escaped, secrets replaced."""
    text = _SECRETS.sub("…", text[: 4 * _MAX_REASON])
    text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 1]}…"


def count_failures(settings: Settings, trigger: str, failures: int = 1) -> None:
    """Count internal failures, if any: ``trigger`` is request, ingest or index.

    An alarm watches a metric by its exact dimensions, so this metric has no others.
    """
    if failures:
        count(settings, {"trigger": trigger}, {"Failures": failures})
