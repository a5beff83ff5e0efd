"""A real OpenSearch with k-NN on 127.0.0.1, for tests and experiments.

    python -m tests.servers.opensearch.server [--data DIR] [--port PORT]

Needs Java and what ``make servers`` installs into build/opensearch.
"""

from __future__ import annotations

import argparse
import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from lookalike.domain.library import Kind
from lookalike.domain.search import Generation
from lookalike.stores.aws.opensearch_admin import create_index
from lookalike.stores.aws.opensearch_client import connect
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from tests.support.fakes import MemoryGenerations

BUILD = Path(__file__).parents[3] / "build" / "opensearch"

#: Without the optimising compiler the start takes half the time; only long measurements need it.
QUICK_START = "-XX:TieredStopAtLevel=1"

#: Lucene compares vectors by the processor's vector unit, as in a distribution; Java 17 ignores that. Lucene knows of
#: Java up to 23, and works with 25.
VECTOR_UNIT = ("--add-modules=jdk.incubator.vector", "-Dorg.apache.lucene.vectorization.upperJavaFeatureVersion=25")

#: Java's heap. Vectors are read through the file system's cache, outside the heap.
HEAP = "512m"


#: Deadline of calls in seconds, for a server that shares the machine with the tests.
PATIENCE = 60.0


def missing() -> str | None:
    """Why no server can run here; None if it can."""
    if shutil.which("java") is None:
        return "java is missing"
    if not (BUILD / ".installed").exists():
        return f"{BUILD} is not there: `make servers` makes it where Java and Maven are present"
    return None


class OpenSearchServer:
    """A running server with its data and its ``server.log`` in ``folder``.

    Ends with this process, even if that is killed. ``port`` 0: any free one.
    """

    def __init__(self, folder: Path, port: int = 0, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "java",
                    f"-Xms{HEAP}",
                    f"-Xmx{HEAP}",
                    *options,
                    "-Dlog4j2.disable.jmx=true",
                    "-Dorg.apache.logging.log4j.level=WARN",
                    "-cp",
                    f"{BUILD}/classes:{BUILD}/jars/*",
                    "SearchNode",
                    str(folder),
                    str(port),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = self._wait_for_url()
        with urllib.request.urlopen(f"{self.url}/_cluster/health?wait_for_status=green&timeout=60s", timeout=70):
            pass

    def _wait_for_url(self) -> str:
        """Its URL, once the server prints it."""
        while True:
            url = next((line for line in self.log.read_text().splitlines() if line.startswith("http://")), None)
            if url is not None:
                return url
            if self.process.poll() is not None:
                raise RuntimeError(f"OpenSearch did not start: {self.log.read_text()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self.process.kill()
        self.process.communicate()

    def close(self) -> None:
        """Stop it cleanly."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(timeout=60)
        assert status == 0, self.log.read_text()


@functools.cache
def shared() -> str:
    """URL of the server that all tests of a run share, started by the first call.

    Skips the calling test where no server can run.
    """
    if (reason := missing()) is not None:
        import pytest  # noqa: PLC0415 - `make run-aws` does without

        pytest.skip(f"no OpenSearch: {reason}")
    folder = tempfile.TemporaryDirectory(prefix="opensearch-")
    server = OpenSearchServer(Path(folder.name), 0, QUICK_START)
    atexit.register(folder.cleanup)
    atexit.register(server.close)  # runs before the cleanup: last registered, first called
    return server.url


@functools.cache
def shared_index() -> OpenSearchIndex:
    """An index on that server, for tests that use libraries of their own."""
    return fresh_index("shared")


def fresh_index(name: str, refresh_interval: str = "10ms") -> OpenSearchIndex:
    """An index on that server, empty the first time that a name is used. Writes are visible at once."""
    client, generations = connect(shared(), connections=20), MemoryGenerations()
    for kind in Kind:
        create_index(client, f"{name}-{kind}", replicas=0, refresh_interval=refresh_interval)
        generations.save_generation(kind, Generation(f"{name}-{kind}", (f"{name}-{kind}",)), None)
    return OpenSearchIndex(client, generations, seconds=PATIENCE)


def main() -> int:
    """Run a server until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "data", help="folder for its data")
    parser.add_argument("--port", type=int, default=9200, help="port on 127.0.0.1; 0 for any free one")
    chosen = parser.parse_args()
    if (reason := missing()) is not None:
        print(reason, file=sys.stderr)
        return 1
    server = OpenSearchServer(chosen.data, chosen.port)
    print(f"OpenSearch is ready on {server.url}; Ctrl-C stops it", flush=True)
    try:
        return server.process.wait()
    except KeyboardInterrupt:  # Java receives it too
        server.process.wait()
        return 0


if __name__ == "__main__":
    sys.exit(main())
