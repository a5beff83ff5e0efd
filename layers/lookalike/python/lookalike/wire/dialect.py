"""One endpoint for every vendor: authenticate, admit, work, render, and refuse in the vendor's own form.

A :class:`Dialect` holds what differs between vendors. Statuses, headers and the form of bodies are matters of its
``render`` and ``refuse``, which answer with a whole :class:`~lookalike.wire.http.Answer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

from lookalike.domain.application import Application, Permission
from lookalike.errors import UnknownOperation
from lookalike.observability import log_failure
from lookalike.ports import Ports
from lookalike.service.admission import admit, check_rate
from lookalike.service.capacity import limited
from lookalike.service.model_view import current
from lookalike.service.permissions import narrowed, require
from lookalike.wire.http import Answer, Endpoint, Request
from lookalike.wire.log_fields import CallId, LogFields

#: The part of a request that a call reads: a form, the fields of query and body, or the request itself.
Content = TypeVar("Content")

#: The result of a call, before it is rendered.
Result = TypeVar("Result")

#: A call of one vendor. Errors that it raises are refused in that vendor's codes.
Call: TypeAlias = Callable[[Ports, Application, Content], Result]

#: A vendor's codes and messages by the class of error.
Codes: TypeAlias = Mapping[type[BaseException], tuple[int, str]]

#: Functions that work with pictures. The others do not read which model they are searched with, and need not be able to.
_WITH_PICTURES = frozenset({"add", "search", "update", "delete", "groups"})


def code_of(codes: Codes, error: Exception) -> tuple[int, str]:
    """Code and message of the error's class, or else of the nearest class it derives from that has them."""
    return next(codes[kind] for kind in type(error).__mro__ if kind in codes)


def _no_library(_request: Request) -> None:
    return None


#: Headers of an answer.
Headers: TypeAlias = tuple[tuple[str, str], ...]


def _no_headers(_ports: Ports, _application: Application, _error: Exception | None) -> Headers:
    return ()


@dataclass(frozen=True, slots=True)
class Dialect(Generic[Content, Result]):
    """Authentication and answers of one vendor's calls.

    Parameters
    ----------
    new_call_id : makes the number of a call.
    authenticate : the application that a request is proved to come from, and what the call reads of the request.
    render : the answer of a call that succeeded.
    refuse : the answer of an error; ``failed`` in it says that the error is a failure of ours.
    library_of : the library that a request names in a place where nothing secret can stand; None if it names none.
    admit : admits and counts an authenticated call from that IP address, for that operation.
    headers_of : headers of every answer to an application, beside those that it is rendered with, or refused.
    """

    new_call_id: Callable[[], CallId]
    authenticate: Callable[[Ports, Request], tuple[Application, Content]]
    render: Callable[[Result, CallId, Request], Answer]
    refuse: Callable[[Exception, CallId, Request], Answer]
    library_of: Callable[[Request], str | None] = _no_library
    admit: Callable[[Ports, Application, str, str], None] = admit
    headers_of: Callable[[Ports, Application, Exception | None], Headers] = _no_headers

    def endpoint(self, call: Call[Content, Result], *may: Permission) -> Endpoint:
        """Answer requests by that call, of applications that may do one of these; of all, if none is named."""

        def answer(ports: Ports, request: Request) -> Answer:
            call_id = self.new_call_id()
            log = LogFields(call_id, self.library_of(request))
            application = None
            try:
                ports.call.check()
                check_rate(ports)
                application, content = self.authenticate(ports, request)
                log = replace(log, app_id=application.app_id)
                self.admit(ports, application, request.source_ip, request.operation)
                require(application, *may)
                if request.operation in _WITH_PICTURES:
                    ports = current(ports)
                result = call(limited(narrowed(ports, application), application), application, content)
            except Exception as error:  # whatever it is, the caller gets an answer in the vendor's form
                refused = self._refused(error, call_id, request, log)
                return refused if application is None else self._with_headers(refused, ports, application, error)
            return self._with_headers(replace(self.render(result, call_id, request), log=log), ports, application, None)

        return answer

    def _with_headers(self, answer: Answer, ports: Ports, application: Application, error: Exception | None) -> Answer:
        headers = self.headers_of(ports, application, error)
        return replace(answer, headers=(*answer.headers, *headers)) if headers else answer

    def not_found(self, _ports: Ports, request: Request) -> Answer:
        """Answer a path that is none of the vendor's, whoever asks."""
        return self._refused_at_once(UnknownOperation(request.path), request)

    def refusing(self, error_of: Callable[[Request], Exception]) -> Endpoint:
        """Return the endpoint that refuses every request with its error, whoever asks."""
        return lambda _ports, request: self._refused_at_once(error_of(request), request)

    def _refused_at_once(self, error: Exception, request: Request) -> Answer:
        call_id = self.new_call_id()
        return self._refused(error, call_id, request, LogFields(call_id))

    def _refused(self, error: Exception, call_id: CallId, request: Request, log: LogFields) -> Answer:
        answer = self.refuse(error, call_id, request)
        if answer.failed:
            log_failure(error, {**log.extra(), "request_id": request.id})
        return replace(answer, outcome=type(error).__name__, log=log.refused(error))
