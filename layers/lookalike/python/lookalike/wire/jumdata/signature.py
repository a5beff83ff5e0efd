"""The signature of Jumdata's clients."""

from __future__ import annotations

import hashlib
import hmac
import re

from lookalike.domain.application import Application
from lookalike.errors import ApplicationNotFound, InvalidArgument, MissingArgument, SignatureInvalid
from lookalike.ports import Ports
from lookalike.service.admission import Callers
from lookalike.wire import signing
from lookalike.wire.forms import Form


def verify(ports: Ports, form: Form) -> Application:
    """Application that signed the form. ``sign`` is SHA-256 of app id, secret and timestamp as sent, in hexadecimal.

    Raises MissingArgument, InvalidArgument, ApplicationNotFound or SignatureInvalid.
    """
    given = {name: form.text(name).strip() for name in ("appId", "timestamp", "sign")}
    for name, value in given.items():
        if not value:
            raise MissingArgument(name)
    if not re.fullmatch(r"[0-9]{1,15}", given["timestamp"]):
        raise InvalidArgument("timestamp", "must be Unix milliseconds")
    application = Callers(ports).application_by_id(given["appId"])
    if application is None:
        raise ApplicationNotFound("no application has it", field="appId", remedy=signing.UNKNOWN_KEY)
    said = [f"{given['appId']}{secret}{given['timestamp']}" for secret in application.secrets]
    expected = [hashlib.sha256(one.encode()).hexdigest().encode() for one in said]
    if not any(hmac.compare_digest(one, given["sign"].lower().encode()) for one in expected):
        raise SignatureInvalid("not made of appId, the application's secret key and timestamp", field="sign")
    if abs(ports.clock() - int(given["timestamp"])) > signing.MAX_SKEW * 1000:
        off = signing.clock_error(int(given["timestamp"]) // 1000, ports.clock() // 1000)
        raise InvalidArgument("timestamp", f"{off}; {signing.MAX_SKEW // 60} minutes are allowed", remedy=signing.CLOCK)
    return application
