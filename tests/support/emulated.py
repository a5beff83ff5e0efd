"""AWS inside this process: moto's emulation, and clients for it that need no account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import boto3
from moto import mock_aws

REGION = "us-east-1"


@contextmanager
def aws() -> Iterator[Callable[..., Any]]:
    """Empty services; what makes a client for one of them by its name."""
    session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    with mock_aws():
        yield partial(session.client)
