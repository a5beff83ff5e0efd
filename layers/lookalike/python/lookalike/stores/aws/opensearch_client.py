"""The client of an OpenSearch domain: signed requests within a deadline, and its errors as Unavailable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth
from opensearchpy.exceptions import OpenSearchException, TransportError

from lookalike.errors import SettingsError, Unavailable
from lookalike.stores.aws.deadline_http import DeadlineConnection, DeadlineTransport

#: Statuses from 400 to 499 by which a server says that it is too busy or too slow.
_OVERLOADED = frozenset({408, 429})

#: Where the name of an Amazon domain says its region.
_AMAZON_DOMAIN = re.compile(r"\.([a-z0-9-]+)\.es\.amazonaws\.com(\.cn)?$|\.aos\.([a-z0-9-]+)\.on\.aws$")


def connect(endpoint: str, *, region: str | None = None, seconds: float = 10.0, connections: int = 10) -> OpenSearch:
    """A client of the server at that URL.

    A request that fails to connect, or is answered 429, 502, 503 or 504, is sent again, twice at most: all that
    :class:`OpenSearchIndex` sends may be repeated. One that takes longer than ``seconds``, all tries together, is
    given up.

    Raises SettingsError if requests must be signed and there are no credentials.

    Parameters
    ----------
    region : sign requests for that region, with the process's credentials, if the endpoint's name is not one that
        Amazon gave it, which tells its own.
    connections : kept open at most.
    """
    region = _region(endpoint) or region
    return OpenSearch(
        [endpoint],
        http_auth=None if region is None else _signer(region),
        connection_class=DeadlineConnection,
        transport_class=DeadlineTransport,
        pool_maxsize=connections,
        timeout=seconds,
        max_retries=0,  # the transport's own are not bounded by the time of the request
    )


def _region(endpoint: str) -> str | None:
    domain = _AMAZON_DOMAIN.search(urlsplit(endpoint).hostname or "")
    return None if domain is None else domain[1] or domain[3]


def _signer(region: str) -> Urllib3AWSV4SignerAuth:
    import boto3  # noqa: PLC0415  # only a domain needs it, and it takes long to load

    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise SettingsError("no AWS credentials: requests to OpenSearch cannot be signed")
    return Urllib3AWSV4SignerAuth(credentials, region, "es")


@contextmanager
def errors_as_unavailable() -> Iterator[None]:
    """Whatever goes wrong with the server in this block, or is not in its answer, is raised as Unavailable."""
    try:
        yield
    except OpenSearchException as error:
        raise Unavailable(f"OpenSearch: {str(error)[:500]}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unavailable(f"OpenSearch: an answer that cannot be read: {error!r}"[:500]) from error


def is_fault(error: BaseException) -> bool:
    """Whether an error says that the server does not work; it does where it refuses what it is asked."""
    if not isinstance(error, Unavailable):
        return False
    status = error.__cause__.status_code if isinstance(error.__cause__, TransportError) else None
    return not isinstance(status, int) or not 400 <= status < 500 or status in _OVERLOADED
