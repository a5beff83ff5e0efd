"""Files of pictures in bodies: as the whole body, or in a form with what is said beside them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lookalike.errors import InvalidArgument, MissingArgument
from lookalike.wire import forms
from lookalike.wire.http import Request
from lookalike.wire.native.elsewhere import unknown

#: Field of a form with the file.
_FILE = "image"

_JSON_OR_FILE = "must be application/json, multipart/form-data, or image/* for the file itself"

_NOTHING = forms.Form({})


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file, and what a form says beside it: JSON in one field, and others as they are."""

    data: bytes
    json: bytes = b"{}"
    fields: forms.Form = _NOTHING


def sent_file(request: Request, json_field: str = "", fields: Collection[str] = ()) -> SentFile | None:
    """Return the file that a body has; None if the body is JSON.

    A form may have ``json_field`` and ``fields`` beside it. Raises InvalidArgument, also for a field of another name, so that
    a typing error is not ignored.
    """
    content_type = request.headers.get("content-type", "").strip().lower()
    if content_type.startswith("multipart/"):
        return _of_form(request, content_type, json_field, fields)
    if content_type.startswith(("image/", "application/octet-stream")):
        return SentFile(request.content())
    begins_as_json = request.content().lstrip().startswith(b"{")
    if content_type.startswith("application/x-www-form-urlencoded") and not begins_as_json:
        raise InvalidArgument("Content-Type", _JSON_OR_FILE)
    # Without a type, as `curl -T` sends it, the first byte tells a file from JSON.
    return None if content_type or begins_as_json or not request.content() else SentFile(request.content())


def _of_form(request: Request, content_type: str, json_field: str, fields: Collection[str]) -> SentFile:
    if "boundary=" not in content_type:
        raise InvalidArgument("Content-Type", "names no boundary", remedy="let the HTTP client write this header")
    form = forms.body(request)
    for name in form.values:
        if name not in (_FILE, json_field, *fields):
            raise unknown(name, "field", (_FILE, *filter(None, (json_field,)), *fields))
    if _FILE not in form:
        raise MissingArgument(_FILE)
    beside = {name: value for name, value in form.values.items() if name in fields}
    return SentFile(form.data(_FILE), form.data(json_field) or b"{}", forms.Form(beside))
