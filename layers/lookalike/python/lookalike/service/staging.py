"""Files that callers send ahead: each is sent to an address of its own, then named by one call, which uses it up.

So a picture may be larger than a request. An address is signed, short-lived, and takes one file of bounded size. Where the
store takes no files from outside, the service does (:func:`check_form`), and the form is signed with the secret key of the
application that has asked for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

from lookalike.domain.application import Application
from lookalike.domain.staged import PostForm, StagedId
from lookalike.errors import Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.ports.clock import SECOND_MS
from lookalike.service.admission import Callers
from lookalike.service.staging_errors import (
    UploadError,
    UploadExpired,
    UploadMissing,
    UploadNotFound,
    UploadRefused,
    UploadUsed,
)

#: Bytes of a file: as many as of one that is put into the bucket or folder of uploads.
MAX_BYTES = 32 * 1024 * 1024

#: Seconds from the offer until the file must have been sent: enough for the largest one at 0.5 Mbit/s.
SEND_SECONDS = 600

#: Seconds from the offer until a call must have used the file.
USE_SECONDS = 3600

#: Milliseconds after which it may be forgotten that a file was used: longer than any is kept, and clocks differ.
_USE_KEPT_MS = 2 * USE_SECONDS * SECOND_MS


@dataclass(frozen=True, slots=True)
class Offer:
    """An upload that is offered: its id, the form to send the file with, and until when (Unix seconds).

    ``form`` has no address if the service takes the file itself.
    """

    id: str
    form: PostForm
    send_before: int
    use_before: int


def offer(ports: Ports, application: Application) -> Offer:
    """Offer the application an upload. Nothing is stored for it. Raises Unavailable."""
    now = ports.clock() // SECOND_MS
    staged = StagedId.new(application.tenant, now + USE_SECONDS)
    form = ports.staged.post_form(staged.key, MAX_BYTES, SEND_SECONDS)
    if form is None:
        form = PostForm("", _signed(application, str(staged), now + SEND_SECONDS))
    return Offer(str(staged), form, now + SEND_SECONDS, staged.expires)


def _signed(application: Application, id_: str, expires: int) -> Mapping[str, str]:
    said = {"upload": id_, "app_id": application.app_id, "expires": expires, "max_bytes": MAX_BYTES}
    policy = base64.b64encode(json.dumps(said).encode()).decode()
    return {"policy": policy, "signature": _signature(application, policy)}


def _signature(application: Application, policy: str) -> str:
    return hmac.new(application.secret_key.encode(), f"upload|{policy}".encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file that the service takes itself belongs, and the most bytes that it may have."""

    key: str
    max_bytes: int


def check_form(ports: Ports, id_: str, fields: Mapping[str, str]) -> Place:
    """Return where the file belongs that comes with these fields of :func:`offer`.

    Raises UploadRefused for fields of another upload, or that this service has not signed; UploadExpired; and UploadUsed.
    """
    policy = fields.get("policy", "")
    said = _policy(policy)
    application = Callers(ports).application_by_id(str(said.get("app_id", "")))
    if application is None or not application.active:
        raise UploadRefused("no application has signed this form", field="policy")
    if not hmac.compare_digest(_signature(application, policy), fields.get("signature", "")) or said["upload"] != id_:
        raise UploadRefused("the form is not signed for this upload")
    staged = StagedId.of(application.tenant, id_)
    if staged is None:
        raise UploadNotFound(id_)
    if ports.clock() // SECOND_MS >= int(said["expires"]):
        raise UploadExpired(id_)
    if ports.counters.counted(_use_of(staged)):
        raise UploadUsed(id_)
    return Place(staged.key, int(said["max_bytes"]))


def _policy(text: str) -> Mapping[str, str | int]:
    """Return what a policy says, whoever has written it; empty if it is none."""
    try:
        said = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def take(ports: Ports, tenant: str, id_: str) -> bytes:
    """Return the file of an upload, for one call: it is gone afterwards, whatever comes of the call.

    Raises UploadNotFound, also for another tenant's; UploadExpired; UploadMissing; UploadUsed; and Unavailable.
    """
    staged = StagedId.of(tenant, id_)
    if staged is None:
        raise UploadNotFound(id_)
    if ports.clock() // SECOND_MS >= staged.expires:
        raise UploadExpired(id_)
    data = ports.staged.read(staged.key)
    if data is None:
        raise _absent(ports, staged, id_)
    if not ports.counters.take(_use_of(staged), 1, 1, ports.clock() + _USE_KEPT_MS):
        raise UploadUsed(id_)
    try:
        ports.staged.remove(staged.key)
    except Unavailable as error:  # it goes by itself, later
        logger.warning("an upload could not be removed", extra={"source": staged.key, **error_fields(error)})
    return data


def _absent(ports: Ports, staged: StagedId, id_: str) -> UploadError:
    """Return why an upload has no file."""
    if ports.counters.counted(_use_of(staged)):
        return UploadUsed(id_)
    last = staged.expires - USE_SECONDS + SEND_SECONDS
    return UploadMissing(id_) if ports.clock() // SECOND_MS < last else UploadExpired(id_)


def peek(ports: Ports, tenant: str, id_: str) -> bytes | None:
    """Return the file of an upload, which is not used up; None if no call can use it. Raises Unavailable."""
    staged = StagedId.of(tenant, id_)
    if staged is None or ports.clock() // SECOND_MS >= staged.expires or ports.counters.counted(_use_of(staged)):
        return None
    return ports.staged.read(staged.key)


def remove_expired(ports: Ports) -> None:
    """Remove files that were sent and never used. Raises Unavailable."""
    ports.staged.remove_older(ports.clock() - USE_SECONDS * SECOND_MS)


def _use_of(staged: StagedId) -> str:
    """Return the name of the count of calls that have used it."""
    return f"upload/{staged}"
