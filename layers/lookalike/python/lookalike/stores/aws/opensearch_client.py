"""The client of an OpenSearch domain: signed requests with a deadline, whose errors are raised as Unavailable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth
from opensearchpy.exceptions import OpenSearchException, TransportError

from lookalike.errors import SettingsError, Unavailable
from lookalike.stores.aws.deadline_http import DeadlineConnection, DeadlineTransport

Json = dict[str, Any]

#: Statuses from 400 to 499 of a server that is too busy or too slow.
_OVERLOADED = frozenset({408, 429})

#: Hosts of Amazon's domains; group 1 or 3 is the region.
_AMAZON_DOMAIN = re.compile(r"\.([a-z0-9-]+)\.es\.amazonaws\.com(\.cn)?$|\.aos\.([a-z0-9-]+)\.on\.aws$")


def connect(endpoint: str, *, region: str | None = None, seconds: float = 10.0, connections: int = 10) -> OpenSearch:
    """Make a client of the server at this URL.

    A request that fails to connect, or is answered 429, 502, 503 or 504, is retried twice: all requests of
    :class:`OpenSearchIndex` are idempotent. ``seconds`` bounds a request together with its retries.

    Raises SettingsError if requests must be signed and there are no credentials.

    Parameters
    ----------
    endpoint : URL of the server. Requests to a name that Amazon gave the domain are signed for the region in it.
    region : sign requests to other endpoints for this region, with the process's credentials; None: do not sign.
    seconds : default deadline of a request.
    connections : size of the connection pool.
    """
    region = _region(endpoint) or region
    return OpenSearch(
        [endpoint],
        http_auth=None if region is None else _signer(region),
        connection_class=DeadlineConnection,
        transport_class=DeadlineTransport,
        pool_maxsize=connections,
        timeout=seconds,
        max_retries=0,  # the client's own retries are not bounded by the request's deadline
    )


def _region(endpoint: str) -> str | None:
    """Region in the name that Amazon gave a domain; None for other names."""
    domain = _AMAZON_DOMAIN.search(urlsplit(endpoint).hostname or "")
    return None if domain is None else domain[1] or domain[3]


def _signer(region: str) -> Urllib3AWSV4SignerAuth:
    import boto3  # noqa: PLC0415  # slow to import, and only a domain needs it

    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise SettingsError("no AWS credentials: requests to OpenSearch cannot be signed")
    return Urllib3AWSV4SignerAuth(credentials, region, "es")


@contextmanager
def errors_as_unavailable() -> Iterator[None]:
    """Raise errors of the client, and of reading its responses in this block, as Unavailable."""
    try:
        yield
    except OpenSearchException as error:
        raise Unavailable(f"OpenSearch: {str(error)[:500]}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unavailable(f"OpenSearch: an answer that cannot be read: {error!r}"[:500]) from error


def is_fault(error: BaseException) -> bool:
    """Whether an error means that the server does not work, as opposed to rejecting a request."""
    if not isinstance(error, Unavailable):
        return False
    status = error.__cause__.status_code if isinstance(error.__cause__, TransportError) else None
    return not isinstance(status, int) or not 400 <= status < 500 or status in _OVERLOADED
