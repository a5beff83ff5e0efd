"""A real server for tests: ``lookalike serve`` in a process of its own, on a free port, with its own data folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

READY = "lookalike is ready on "


@dataclass(frozen=True, slots=True)
class Keys:
    """What a client is configured with."""

    app_id: str
    access_key: str
    secret_key: str
    tenant: str


class LiveServer:
    """A running server. Its log goes to ``server.log`` in the data folder's parent.

    With ``account``, the environment variables that name them, it works on the stores of AWS, and ``data`` only names its log.
    """

    def __init__(self, data: Path, *options: str, account: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self.account = account
        stores = ["--backend", "aws"] if account else ["--data", str(data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lookalike", "serve", *stores, "--port", "0", *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **(account or {})},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(READY), f"{line!r}; {self.log.read_text()}"
        self.url = line.removeprefix(READY).strip()

    def keys(self, name: str, tenant: str | None = None) -> Keys:
        """Make an application, as an operator would while the server runs."""
        data = [] if self.account else ["--data", str(self.data)]
        said = cli("keys", "create", *data, "--name", name, "--json", *_tenant(tenant), account=self.account)
        made = json.loads(said)
        return Keys(made["app_id"], made["access_key"], made["secret_key"], made["tenant"])

    def token(self, keys: Keys) -> str:
        """An access token, as a hand-written client fetches it."""
        form = {"grant_type": "client_credentials", "client_id": keys.access_key, "client_secret": keys.secret_key}
        return str(httpx.post(f"{self.url}/oauth/2.0/token", data=form).json()["access_token"])

    def call(self, token: str, path: str, **form: Any) -> dict[str, Any]:
        """Post a form to a Baidu endpoint; HTTP 200 always, as the vendor has it."""
        answer = httpx.post(f"{self.url}{path}", params={"access_token": token}, data=form, timeout=60)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self.process.kill()
        self.process.communicate()

    def said(self, words: str) -> str:
        """The log, as soon as these words are in it."""
        while words not in (log := self.log.read_text()):
            assert self.process.poll() is None, log
            time.sleep(0.05)
        return log

    def stop_after(self, words: str) -> int:
        """Wait until the log says this, then stop."""
        self.said(words)
        return self.stop()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.terminate()
        self.process.communicate(timeout=60)
        return self.process.returncode


def cli(*arguments: str, account: Mapping[str, str] | None = None) -> str:
    """Run the command; its standard output."""
    command = [sys.executable, "-m", "lookalike", *arguments]
    environment = {**os.environ, **(account or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _tenant(tenant: str | None) -> list[str]:
    return [] if tenant is None else ["--tenant", tenant]
