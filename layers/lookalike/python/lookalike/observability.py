"""Logs and metrics: structured lines through Powertools, with nothing of a request kept on a module.

Pictures, vectors, tokens, secrets and Authorization headers are never handed to these functions.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from lookalike.errors import LookalikeError, Unavailable
from lookalike.settings import Settings

#: Where CloudWatch shows the metrics.
NAMESPACE = "lookalike"

#: Longest reason or remedy in a log line, in characters.
_MAX_REASON = 300

#: Access tokens, and what stands behind the scheme of an Authorization header, wherever a caller may have put them.
_SECRETS = re.compile(
    r"\b2[45]\.[0-9A-Za-z]{8,}\.[0-9A-Za-z._-]*|(?<=Qiniu )(?!<)\S+|(?<=QBox )(?!<)\S+|(?<=bce-auth-v1/)(?!<)\S+"
)

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


def why(error: BaseException) -> dict[str, str]:
    """The fields ``reason`` and ``remedy`` of a log line about that error, each where there is one.

    They are single lines of printable characters, of bounded length, without tokens and signatures. What is none of
    our own errors may have anything in its message, so only its class is named; its traceback is logged elsewhere.
    """
    if isinstance(error, LookalikeError):
        fields = {"reason": error.explanation or type(error).__name__, "remedy": error.remedy}
    else:
        fields = {"reason": f"internal error: {type(error).__name__}", "remedy": "its traceback is in the line before"}
    return {name: printable(text) for name, text in fields.items() if text}


def log_failure(error: Exception, log_fields: Mapping[str, object]) -> None:
    """Log the traceback of what failed on our side, with what is known of the call.

    Nothing of a store that did not answer or took no write: the line about the call says which and why, and on a full
    disk there are many.
    """
    if not isinstance(error, Unavailable):
        logger.error("failed", exc_info=error, extra=dict(log_fields))


def printable(text: str) -> str:
    """Text that came from anywhere, as one harmless line: cut, unprintable characters escaped, secrets blotted out."""
    text = _SECRETS.sub("…", text[: 4 * _MAX_REASON])
    text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 1]}…"


def fail(settings: Settings, trigger: str, failures: int = 1) -> None:
    """Count what went wrong on our side, whoever asked: ``trigger`` is request, ingest or index.

    An alarm watches a metric by its exact dimensions, so this one has no others. Nothing if there were no failures.
    """
    if failures:
        count(settings, {"trigger": trigger}, {"Failures": failures})
