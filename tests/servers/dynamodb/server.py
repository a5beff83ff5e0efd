"""DynamoDB on 127.0.0.1 for tests: Amazon's engine where it can run, else moto's emulation. KMS is moto's.

DynamoDB Local listens on every address, which no option prevents. It therefore runs in a network namespace, and a relay
forwards connections from 127.0.0.1. Everything started here ends with this process.
"""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
from botocore.config import Config

from lookalike.stores.aws import dynamodb_table, kms_sealer
from lookalike.stores.aws.dynamodb_table import Table, create_table
from lookalike.stores.aws.kms_sealer import KmsSealer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Downloaded by ``make servers``.
JARS = Path(__file__).parents[3] / "build" / "dynamodb" / "jars"

_RELAY = Path(__file__).with_name("relay.py")
_NAMESPACES = (["unshare", "--net"], ["unshare", "--map-root-user", "--net"])
_PORT = "8000"  # in the namespace, where every port is free


@cache
def missing() -> str | None:
    """Why Amazon's engine cannot run here; None if it can."""
    if shutil.which("java") is None:
        return "java is missing"
    if platform.machine() != "x86_64":
        return f"it has no library for {platform.machine()}"
    if not (JARS / ".installed").exists():
        return f"{JARS} is not there: `make servers` makes it where Maven is present"
    if _namespace() is None:
        return "this machine lets nobody make a network namespace"
    return None


@cache
def _namespace() -> list[str] | None:
    """Command prefix that runs a command in a new network namespace; None if this user may not create one."""
    for command in _NAMESPACES:
        with suppress(OSError):
            if subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0:
                return command
    return None


@cache
def moto() -> str:
    """URL of a moto server."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  # slow to import, and few test runs start it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    _host, port = server.get_host_and_port()
    return f"http://127.0.0.1:{port}"


class DynamoServer:
    """A running DynamoDB Local on a port of 127.0.0.1, its tables in memory, or in files of ``data``. Ends with this process."""

    def __init__(self, port: int = 0, data: Path | None = None) -> None:
        namespace = _namespace()
        assert namespace is not None, missing()
        listening = socket.create_server(("127.0.0.1", port), backlog=128)
        with (JARS / "server.log").open("ab") as log, listening:
            self.process = subprocess.Popen(
                [
                    *namespace,
                    sys.executable,
                    str(_RELAY),
                    str(listening.fileno()),
                    _PORT,
                    "java",
                    "-Xmx256m",
                    "-XX:TieredStopAtLevel=1",  # a test run is too short for the optimising compiler to pay
                    f"-Dsqlite4java.library.path={JARS}",
                    "-cp",
                    f"{JARS}/*",
                    "software.amazon.dynamodb.services.local.main.ServerRunner",
                    *("-port", _PORT, "-sharedDb", "-disableTelemetry"),
                    *(["-inMemory"] if data is None else ["-dbPath", str(data)]),
                ],
                pass_fds=[listening.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            self.port = int(listening.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError((JARS / "server.log").read_text())

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def close(self) -> None:
        """Stop it: it ends when its standard input is closed."""
        self.process.communicate()


@cache
def dynamodb() -> str:
    """URL of DynamoDB Local, or of moto where that cannot run."""
    if missing() is not None:
        return moto()
    server = DynamoServer()
    atexit.register(server.close)
    return server.url


#: Timeouts for emulations on a busy test machine.
_PATIENT = Config(read_timeout=60)

_ACCOUNT: Any = {"region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}


@cache
def client() -> DynamoDBClient:
    """Client of :func:`dynamodb`."""
    config = dynamodb_table.CONFIG.merge(_PATIENT)
    made: DynamoDBClient = boto3.client("dynamodb", endpoint_url=dynamodb(), config=config, **_ACCOUNT)
    return made


def new_table() -> Table:
    """An empty table."""
    name = f"lookalike-{uuid4().hex}"
    create_table(client(), name)
    return Table(client(), name)


def sealer() -> KmsSealer:
    """A sealer with its own key, in moto's KMS, which other tests' emulations empty."""
    made = boto3.client("kms", endpoint_url=moto(), config=kms_sealer.CONFIG.merge(_PATIENT), **_ACCOUNT)
    return KmsSealer(made, made.create_key()["KeyMetadata"]["Arn"])
