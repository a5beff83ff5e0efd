"""An emulated AWS account with the stack deployed into it: ministack, and a real OpenSearch beside it.

ministack deploys as CloudFormation does, and runs the functions from their packages and layers with a Python of its own
version, which therefore is Lambda's. It enforces neither IAM nor the limits of API Gateway.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx

from tests.support.live import Keys

ROOT = Path(__file__).resolve().parents[2]
MINISTACK = ROOT / ".venv-ministack/bin/ministack"
SAM = ROOT / ".venv-sam/bin/sam"
REGION = "eu-west-1"

#: The stack's services. ministack starts no others.
SERVICES = (
    "s3,sqs,dynamodb,dynamodbstreams,lambda,iam,sts,cloudformation,apigateway,scheduler,events,logs,kms,monitoring"
)


def missing() -> str | None:
    """Why the stack cannot be deployed on this machine; None if it can."""
    if not (ROOT / ".venv-ministack/.installed").exists():
        return ".venv-ministack is not there: `make servers` makes it where Python 3.13 is present"
    if not SAM.exists():
        return ".venv-sam is not there: `make test` makes it"
    return None


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Account:
    """A running account without resources. ``environment``: variables for SDKs and commands to use it."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "account.log"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SAM_CLI_TELEMETRY": "0",
        }
        given = {
            "BIND_HOST": "127.0.0.1",  # by default it listens on every address
            "IOT_MTLS_ENABLED": "0",  # would listen on every address all the same
            "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": REGION,
            "SERVICES": SERVICES,
            "TMPDIR": str(folder),
            # ministack puts layers on Python's path, not under /opt.
            "LOOKALIKE_MODEL": str(ROOT / ".aws-sam/build/ModelLayer/model/model.onnx"),
        }
        path = f"{MINISTACK.parent}:{os.environ['PATH']}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [MINISTACK],
                cwd=folder,
                env={**os.environ, **self.environment, **given, "PATH": path},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()

    def _wait(self) -> None:
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/_ministack/ready").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)

    def client(self, service: Any) -> Any:
        """Client of one of its services."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def run(self, *command: str | Path) -> str:
        """Run a command with the account's environment; returns its standard output."""
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def stop(self) -> None:
        """Terminate it with the processes of its functions."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Stack:
    """The stack of this checkout, built, deployed and set up as documented."""

    name = "lookalike-dev"

    def __init__(self, account: Account, opensearch: str | None, **parameters: str) -> None:
        self.account = account
        if opensearch is not None:
            arn = "arn:aws:es:eu-west-1:000000000000:domain/beside"
            parameters = {"OpenSearchEndpoint": opensearch, "OpenSearchArn": arn, **parameters}
        overrides = " ".join(f"""'{name}="{value}"'""" for name, value in parameters.items())
        self._deploy = ("make", "deploy", "ENV=dev", f"OPTIONS=--no-progressbar --parameter-overrides {overrides}")
        self.deploy()
        self.resources: dict[str, str] = {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for one in account.client("cloudformation").describe_stack_resources(StackName=self.name)["StackResources"]
        }
        (described,) = account.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}
        self._make_routes()
        self.url = f"{account.url}/_aws/execute-api/{self.resources['Api']}/$default"

    def deploy(self) -> str:
        """Build, deploy and set up this checkout; returns the output of the commands."""
        return self.account.run(*self._deploy)

    def _make_routes(self) -> None:
        """Create the API's routes from its OpenAPI document, which ministack does not read."""
        template = self.account.client("cloudformation").get_template(StackName=self.name, TemplateStage="Processed")
        body = template["TemplateBody"]
        document = (body if isinstance(body, dict) else json.loads(body))["Resources"]["Api"]["Properties"]["Body"]
        api, arns = self.account.client("apigatewayv2"), {}
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                target = json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
                found = re.search(r"\$\{(\w+Function)Aliaslive\}", target)
                assert found, target
                function = found[1]
                if function not in arns:
                    arn = self.function(function)["FunctionArn"] + ":live"
                    made = api.create_integration(
                        ApiId=self.resources["Api"],
                        IntegrationType="AWS_PROXY",
                        IntegrationUri=arn,
                        PayloadFormatVersion="2.0",
                    )
                    arns[function] = made["IntegrationId"]
                verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                key = path if path == "$default" else f"{verb} {path}"
                api.create_route(ApiId=self.resources["Api"], RouteKey=key, Target=f"integrations/{arns[function]}")

    def function(self, name: str) -> dict[str, Any]:
        """Configuration of a function, by its name in the template."""
        found = self.account.client("lambda").get_function(FunctionName=self.resources[name])
        configuration: dict[str, Any] = found["Configuration"]
        return configuration

    @contextmanager
    def paused(self, schedule: str) -> Iterator[None]:
        """Hold a schedule, by the end of its name, until the block ends."""
        scheduler, name = self.account.client("scheduler"), f"{self.name}-{schedule}"
        fields = ("FlexibleTimeWindow", "ScheduleExpression", "Target")
        kept = {field: value for field, value in scheduler.get_schedule(Name=name).items() if field in fields}
        scheduler.update_schedule(Name=name, State="DISABLED", **kept)
        yield
        scheduler.update_schedule(Name=name, State="ENABLED", **kept)

    def keys(self, name: str) -> Keys:
        """Create an application with ``lookalike keys create``."""
        made = json.loads(
            self.account.run(".venv/bin/lookalike", "keys", "create", "--stack", self.name, "--name", name, "--json")
        )
        return Keys(made["app_id"], made["access_key"], made["secret_key"], made["tenant"])

    def delete(self) -> None:
        """Delete the stack as documented."""
        self.account.run(".venv-sam/bin/sam", "delete", "--stack-name", self.name, "--no-prompts")


@contextmanager
def running(folder: Path) -> Iterator[Account]:
    """An account that runs until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    account = Account(folder)
    try:
        yield account
    finally:
        account.stop()
        shutil.rmtree(folder, ignore_errors=True)
