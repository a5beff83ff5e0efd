"""``make run-aws``: the service on the stores of AWS, all emulated on this machine, and empty at each start.

OpenSearch is real; DynamoDB, S3 and KMS are emulated by moto, which is faithful and slow. The table's stream is played as
Lambda does it, so that the index gets what it missed while it was away.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from lookalike.stores.aws.dynamodb_table import create_table
from tests.servers.opensearch import server as opensearch

NAME = "lookalike"


@contextmanager
def emulated() -> Iterator[dict[str, str]]:
    """Environment variables of SDKs for emulated services, which run until the block ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
    finally:
        server.stop()


def stores(services: dict[str, str]) -> dict[str, str]:
    """Create the table, the bucket and the key; returns the environment variables that name them."""

    session = boto3.Session(services["AWS_ACCESS_KEY_ID"], services["AWS_SECRET_ACCESS_KEY"], region_name="eu-west-1")
    url = services["AWS_ENDPOINT_URL"]
    create_table(session.client("dynamodb", endpoint_url=services.get("AWS_ENDPOINT_URL_DYNAMODB", url)), NAME)
    session.client("s3", endpoint_url=url).create_bucket(
        Bucket=NAME, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    key = session.client("kms", endpoint_url=url).create_key()["KeyMetadata"]["Arn"]
    return {"LOOKALIKE_TABLE": NAME, "LOOKALIKE_BUCKET": NAME, "LOOKALIKE_KEY": key}


@contextmanager
def account(search: str, dynamodb: str | None = None) -> Iterator[dict[str, str]]:
    """Environment variables for a process that works on empty stores, and on indices at this OpenSearch.

    The table is at this DynamoDB; None: in moto, too.
    """
    with emulated() as services:
        if dynamodb is not None:
            services |= {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb, "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": dynamodb}
        named = {**services, **stores(services), "LOOKALIKE_OPENSEARCH": search}
        command = [sys.executable, "-m", "lookalike", "setup", "--refresh", "50ms", "--no-keys"]
        subprocess.run(command, env={**os.environ, **named}, stdout=subprocess.DEVNULL, check=True)
        with stream({**os.environ, **named}):
            yield named


@contextmanager
def stream(environment: dict[str, str]) -> Iterator[None]:
    """Play the stream of the environment's table until the block ends."""
    quiet = {"LOOKALIKE_INDEX_SECONDS": "10", "LOOKALIKE_LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "tests.servers.table_stream"]
    with subprocess.Popen(command, env={**environment, **quiet}, stdin=subprocess.PIPE) as playing:
        try:
            yield
        finally:
            assert playing.stdin is not None
            playing.stdin.close()
            playing.wait()


def main(options: Sequence[str]) -> int:
    """Run ``lookalike serve --backend aws`` with these further options until Ctrl-C or SIGTERM, and end all servers."""
    if (reason := opensearch.missing()) is not None:
        print(f"no OpenSearch: {reason}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # as shells report it
    with tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
        search = opensearch.OpenSearchServer(Path(folder), 0, opensearch.QUICK_START)
        try:
            with account(search.url) as named:
                print(
                    "Paste this into the shell in which you type `lookalike` commands on these stores, such as the one below:\n\n  export",
                    shlex.join(_assigned(named)),
                    file=sys.stderr,
                )
                environment = {**os.environ, **named}
                command = [sys.executable, "-m", "lookalike", "serve", "--backend", "aws", "--purge", *options]
                with subprocess.Popen(command, env=environment) as serving:
                    try:
                        return serving.wait()
                    except KeyboardInterrupt:  # the server has received it too
                        return serving.wait()
                    except SystemExit:  # SIGTERM was sent to this process alone
                        serving.terminate()
                        raise
        finally:
            search.process.terminate()  # its data is discarded, and Ctrl-C has reached it too
            search.process.wait()


def _assigned(variables: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
