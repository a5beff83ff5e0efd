"""Takes files sent ahead, from the network to the disk, as Amazon S3 does for a service on AWS."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from lookalike.errors import EmptyPicture, InvalidArgument
from lookalike.observability import count, error_fields, log_failure, logger
from lookalike.ports import Ports
from lookalike.server import api_gateway
from lookalike.server.receiving import Receive, RequestReceiver, Scope
from lookalike.service import staging
from lookalike.service.staging_errors import UploadSent, UploadTooLarge
from lookalike.stores.local.staged_files import StagedFolder
from lookalike.wire.form_stream import FormStream
from lookalike.wire.native.problems import problem_answer
from lookalike.wire.native.uploads import PATH

#: Bytes that are collected before they are written: a write takes a thread of its own.
_BUFFER_BYTES = 1024 * 1024

#: Bytes of a body that are read after it was refused: most clients read no answer before all is sent.
_MAX_DRAINED_BYTES = staging.MAX_BYTES + 8 * 1024 * 1024

_OPERATION = "upload"


@dataclass(slots=True)
class _File:
    """A file that is being received: where it belongs, once that is known, and how much of it has come."""

    form: FormStream
    opened: ExitStack = field(default_factory=ExitStack)
    place: staging.Place | None = None
    out: BinaryIO | None = None
    waiting: bytearray = field(default_factory=bytearray)
    size: int = 0
    error: Exception | None = None


class _ClientGone(Exception):  # noqa: N818 - no error
    """The client has disconnected before the end: what it has sent is thrown away."""


class UploadReceiver:
    """Receives files at the addresses that the service offers, each below :data:`~lookalike.wire.native.uploads.PATH`.

    They are received within the limits of time and of a sender's share that hold for all requests.
    """

    def __init__(self, ports: Ports, folder: StagedFolder, receiver: RequestReceiver) -> None:
        self._ports = ports
        self._folder = folder
        self._receiver = receiver

    @staticmethod
    def is_for(scope: Scope) -> bool:
        """Whether a request sends a file ahead."""
        return bool(scope.get("method") == "POST" and _id_of(scope))

    async def answer(self, scope: Scope, receive: Receive) -> api_gateway.HttpResponse | None:
        """Receive the file; return the answer: 204, or a problem. None if the client has gone."""
        began, call_id = time.perf_counter(), secrets.token_urlsafe(12)
        file: _File | None = None
        error: Exception | None = None
        try:
            file = _File(FormStream(_content_type_of(scope)))
            with file.opened:
                take = partial(self._take, _id_of(scope), file)
                await self._finish(file, whole=await self._receiver.receive_stream(scope, receive, take))
        except _ClientGone:
            return None
        except TimeoutError:
            return api_gateway.TOO_SLOW
        except FileExistsError as reason:
            error = UploadSent(_id_of(scope)).with_traceback(reason.__traceback__)
        except Exception as failure:  # whatever it is, the caller gets an answer
            error = failure
        response = _response(error, call_id)
        self._log(response, error, call_id, began, 0 if file is None else file.size)
        return response

    async def _take(self, id_: str, file: _File, piece: bytes, received: int) -> bool:
        """Take a piece of the body. False if no more is to be read."""
        if file.error is None:
            try:
                await self._store(id_, file, piece)
            except Exception as error:
                file.error = error
        return file.error is None or received < _MAX_DRAINED_BYTES

    async def _store(self, id_: str, file: _File, piece: bytes) -> None:
        content = file.form.feed(piece)
        if file.form.fields is None:
            return
        if file.place is None or file.out is None:
            fields = {name: file.form.fields.text(name) for name in ("policy", "signature")}
            file.place = await asyncio.to_thread(staging.check_form, self._ports, id_, fields)
            file.out = await asyncio.to_thread(file.opened.enter_context, self._folder.receive(file.place.key))
        file.size += len(content)
        if file.size > file.place.max_bytes:
            raise UploadTooLarge(f"more than {file.place.max_bytes} bytes")
        file.waiting += content
        if len(file.waiting) >= _BUFFER_BYTES or file.form.complete:
            written = bytes(file.waiting)
            file.waiting.clear()
            await asyncio.to_thread(file.out.write, written)

    async def _finish(self, file: _File, *, whole: bool) -> None:
        """Make the file durable. Raises the error that it met, or InvalidArgument, EmptyPicture or _ClientGone."""
        if not whole:
            raise _ClientGone
        if file.error is not None:
            raise file.error
        if not file.form.complete:
            raise InvalidArgument("file", "the form has none, or breaks off")
        if not file.size:
            raise EmptyPicture("no bytes", field="file")
        await asyncio.to_thread(file.opened.close)

    def _log(
        self, response: api_gateway.HttpResponse, error: Exception | None, call_id: str, began: float, size: int
    ) -> None:
        outcome = "ok" if error is None else type(error).__name__
        milliseconds = (time.perf_counter() - began) * 1000
        if error is not None and response.status >= 500:
            log_failure(error, {"request_id": call_id})
        logger.info(
            "answered",
            extra={
                **({} if error is None else error_fields(error)),
                "operation": _OPERATION,
                "outcome": outcome,
                "status": response.status,
                "milliseconds": round(milliseconds, 1),
                "request_id": call_id,
                "request_bytes": size,
            },
        )
        dimensions = {"operation": _OPERATION, "outcome": outcome}
        count(self._ports.settings, dimensions, {"Requests": 1, "Latency": milliseconds})


def _response(error: Exception | None, call_id: str) -> api_gateway.HttpResponse:
    if error is None:
        return api_gateway.HttpResponse(204, (("cache-control", "no-store"), ("x-request", call_id)), b"")
    answer = problem_answer(error, call_id)
    headers = (("content-type", answer.content_type), *answer.headers, ("x-request", call_id))
    return api_gateway.HttpResponse(answer.status, headers, answer.body)


def _id_of(scope: Scope) -> str:
    """Return the id that a request's path ends in; empty if it is another path."""
    path = str(scope.get("raw_path", b"").decode("latin-1"))
    before, _, id_ = path.rpartition("/")
    return id_ if before == PATH else ""


def _content_type_of(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"content-type"), "")
