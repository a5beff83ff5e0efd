"""Runs one function on one event under Lambda's own runtime client, as ``sam local invoke`` does, without a container.

The client, awslambdaric, asks a Runtime API for events
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html); this module is such an API with a single event.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from lookalike.errors import InvalidArgument
from lookalike.server.sam_template import ROOT

#: Seconds that a function may take: the longest timeout in the template.
MAX_SECONDS = 300

_PREFIX = "/2018-06-01/runtime"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A function's answer: JSON text, and whether it is an error."""

    text: str
    failed: bool


def invoke(function: str, event: bytes, environment: Mapping[str, str], *, seconds: float = MAX_SECONDS) -> Outcome:
    """Run ``functions/<function>/app.py`` on one event, in a new process with these further environment variables.

    The function's logs go to this process's stderr. Raises InvalidArgument for an unknown function or an event that is
    not JSON.
    """
    folder = ROOT / "functions" / function
    if not re.fullmatch(r"[a-z]+", function) or not (folder / "app.py").is_file():
        known = ", ".join(sorted(app.parent.name for app in ROOT.glob("functions/*/app.py")))
        raise InvalidArgument("function", f"{function!r} is none; there are {known}")
    try:
        json.loads(event)
    except ValueError as reason:
        raise InvalidArgument("event", f"no JSON: {reason}") from reason
    with _RuntimeApi(event, seconds) as api, _runtime(folder, api.address, environment) as process:
        return api.outcome(process)


@contextmanager
def _runtime(folder: Path, address: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the runtime client with the function until the block ends."""
    runtime_variables = {
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": folder.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "LAMBDA_TASK_ROOT": str(folder),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "awslambdaric", "app.handler"],
        env={**os.environ, **environment, **runtime_variables},
        stdout=sys.stderr,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class _RuntimeApi:
    """Serves one event and receives its answer, on a free port of this machine."""

    def __init__(self, event: bytes, seconds: float) -> None:
        self.event = event
        self.deadline = time.time() + seconds
        self.request_id = str(uuid4())
        self._answered = threading.Event()
        self._outcome = Outcome("", failed=True)
        self._claimed = False
        self._server = RuntimeHttpServer(("127.0.0.1", 0), _handler(self))

    def __enter__(self) -> _RuntimeApi:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Host and port of the API."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def claim_event(self) -> bool:
        """Return whether the caller gets the event: only the first one does."""
        first, self._claimed = not self._claimed, True
        return first

    def answer(self, text: str, *, failed: bool) -> None:
        """Receive the function's answer; only the first counts."""
        if not self._answered.is_set():
            self._outcome = Outcome(text, failed)
            self._answered.set()

    def outcome(self, process: subprocess.Popen[bytes]) -> Outcome:
        """Wait for the answer, the end of the process, or the deadline."""
        while not self._answered.wait(0.05):
            if process.poll() is not None and not self._answered.wait(0.5):
                self.answer(json.dumps({"errorMessage": f"the runtime exited with {process.returncode}"}), failed=True)
            elif time.time() > self.deadline:
                self.answer(json.dumps({"errorMessage": "Task timed out"}), failed=True)
        return self._outcome


class RuntimeHttpServer(ThreadingHTTPServer):
    """Ignores lost connections: the runtime is killed while it waits for a second event."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error, unless the connection is lost."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(api: _RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            """Send the event; let a second request for one wait for ever."""
            if not api.claim_event():
                threading.Event().wait()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Lambda-Runtime-Aws-Request-Id", api.request_id)
            self.send_header("Lambda-Runtime-Deadline-Ms", str(int(api.deadline * 1000)))
            self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:local:000000000000:function:here")
            self.send_header("Content-Length", str(len(api.event)))
            self.end_headers()
            self.wfile.write(api.event)

        def do_POST(self) -> None:
            """Receive the answer, or an error."""
            body = self._body()
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            api.answer(body.decode(), failed=not self.path.endswith("/response"))

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            """Log nothing: the function writes its own log."""

    return Handler
