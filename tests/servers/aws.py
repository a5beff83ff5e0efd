"""``make run-aws``: the service on the stores of AWS, all of them on this machine, and empty again at the next start.

OpenSearch is the real one; DynamoDB, S3 and KMS are played by moto, which is honest and slow.
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
    """Variables by which SDKs find the emulated services, until the block ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request
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
    """Makes the table, the bucket and the key; variables by which the service finds them."""

    session = boto3.Session(services["AWS_ACCESS_KEY_ID"], services["AWS_SECRET_ACCESS_KEY"], region_name="eu-west-1")
    url = services["AWS_ENDPOINT_URL"]
    create_table(session.client("dynamodb", endpoint_url=url), NAME)
    session.client("s3", endpoint_url=url).create_bucket(
        Bucket=NAME, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    key = session.client("kms", endpoint_url=url).create_key()["KeyMetadata"]["Arn"]
    return {"LOOKALIKE_TABLE": NAME, "LOOKALIKE_BUCKET": NAME, "LOOKALIKE_KEY": key}


@contextmanager
def account(search: str) -> Iterator[dict[str, str]]:
    """The variables of a process that works on empty stores, with its indices made at that OpenSearch."""
    with emulated() as services:
        named = {**services, **stores(services), "LOOKALIKE_OPENSEARCH": search}
        command = [sys.executable, "-m", "lookalike", "setup", "--refresh", "50ms", "--no-keys"]
        subprocess.run(command, env={**os.environ, **named}, stdout=subprocess.DEVNULL, check=True)
        yield named


def main(options: Sequence[str]) -> int:
    """Run ``lookalike serve --backend aws`` with these further options until Ctrl-C or SIGTERM, which end all of it."""
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
                    except KeyboardInterrupt:  # which the server has got too
                        return serving.wait()
                    except SystemExit:  # which nobody but us has been told
                        serving.terminate()
                        raise
        finally:
            search.process.terminate()  # what it holds is thrown away; and Ctrl-C has reached it, too
            search.process.wait()


def _assigned(variables: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
