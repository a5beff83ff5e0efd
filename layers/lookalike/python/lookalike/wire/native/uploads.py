"""The call that offers an upload: an address for a file that is larger than a request may be."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lookalike.domain.application import Application
from lookalike.ports import Ports
from lookalike.ports.clock import SECOND_MS
from lookalike.service import staging
from lookalike.wire.http import Request
from lookalike.wire.native import BASE
from lookalike.wire.native.answers import Said, Time, time_said
from lookalike.wire.native.dialect import Reply

#: Path of the call. Where the service takes files itself, each is sent to a path below it.
PATH = f"{BASE}/uploads"


class UploadSaid(Said, frozen=True, kw_only=True):
    """Where to send a file, and what names it afterwards: ``{"upload": …}`` in place of a picture, in one call.

    The file is sent to ``url`` by POST as multipart/form-data: ``fields`` first, all of them, and behind them the file as
    ``file``. It must have been sent before ``send_before``, and used before ``use_before``.
    """

    upload: str
    url: Annotated[str, Meta(extra_json_schema={"format": "uri"})]
    fields: dict[str, str]
    max_bytes: int
    send_before: Time
    use_before: Time


def offer_upload(ports: Ports, application: Application, request: Request) -> Reply:
    """Offer an upload, for a picture that is larger than a request may be. Nothing is kept until a file is sent."""
    offered = staging.offer(ports, application)
    return Reply(
        UploadSaid(
            upload=offered.id,
            url=offered.form.url or _own_address(request, offered.id),
            fields=dict(offered.form.fields),
            max_bytes=staging.MAX_BYTES,
            send_before=time_said(offered.send_before * SECOND_MS),
            use_before=time_said(offered.use_before * SECOND_MS),
        ),
        201,
    )


def _own_address(request: Request, id_: str) -> str:
    """Return the address at which this service takes the file: below that which the caller has used."""
    scheme = "https" if request.over_https else "http"
    return f"{scheme}://{request.headers.get('host', 'localhost')}{PATH}/{id_}"
