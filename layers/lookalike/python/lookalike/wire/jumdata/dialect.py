"""The Jumdata dialect: call numbers, authentication, and answers of calls that succeed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TypeAlias

from lookalike.domain.application import Application
from lookalike.ports import Ports
from lookalike.wire import forms
from lookalike.wire.dialect import Dialect
from lookalike.wire.forms import Form
from lookalike.wire.http import Answer, Request, ascii_json
from lookalike.wire.jumdata import limits, signature
from lookalike.wire.jumdata.errors import refuse
from lookalike.wire.log_fields import CallId

#: The library all calls are about: the vendor has one for each account.
LIBRARY = "jumdata"

#: The ``data`` of an answer.
Said: TypeAlias = Mapping[str, object]


def _new_call_id() -> CallId:
    return CallId("task", f"{secrets.randbelow(limits.MAX_TASK_NUMBER):024d}")


def _library_of(_request: Request) -> str:
    return LIBRARY


def _authenticate(ports: Ports, request: Request) -> tuple[Application, Form]:
    """By the signed fields of query and body, which are read first: they name the application."""
    form = forms.query_and_body(request)
    return signature.verify(ports, form), form


def _render(said: Said, call_id: CallId, _request: Request) -> Answer:
    return ascii_json({"code": 200, "msg": "成功", "taskNo": call_id.value, "charge": True, "data": said})


JUMDATA = Dialect(_new_call_id, _authenticate, _render, refuse, _library_of)
