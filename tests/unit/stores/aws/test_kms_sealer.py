"""KMS during an outage, and when it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from lookalike.errors import Unavailable
from lookalike.stores.aws import dynamodb_table, kms_sealer, s3_objects, sqs_dead_letters
from lookalike.stores.aws.kms_sealer import CACHE_MS, KmsSealer
from tests.support.fakes import SetClock

TIMEOUT = ReadTimeoutError(endpoint_url="https://kms")


def client_error(code: str, status: int) -> ClientError:
    """An error response of KMS."""
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Decrypt")


class Client:
    """A KMS that decrypts everything, unless it is set to fail."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.calls = 0

    def decrypt(self, *, CiphertextBlob: bytes, **_: Any) -> Any:  # noqa: N803 - as boto3 has it
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        return {"Plaintext": b"opened " + CiphertextBlob}


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1_767_323_045_000)


@pytest.fixture
def sealer(client: Any, clock: SetClock) -> KmsSealer:
    return KmsSealer(client, "key", clock)


OUTAGES = [
    TIMEOUT,
    client_error("ThrottlingException", 400),
    client_error("KMSInternalException", 500),
    client_error("DependencyTimeoutException", 503),
]


@pytest.mark.parametrize("failure", OUTAGES)
def test_what_was_opened_opens_for_an_hour_though_kms_does_not_answer(
    client: Client, clock: SetClock, sealer: KmsSealer, failure: Exception
) -> None:
    assert sealer.decrypt(b"sealed", "ak") == "opened sealed"
    client.failure = failure
    clock.now += CACHE_MS - 1
    for _ in range(10):
        assert sealer.decrypt(b"sealed", "ak") == "opened sealed"
    assert client.calls == 4, "a KMS that is away is left alone for a while"
    clock.now += 1
    with pytest.raises(Unavailable):
        sealer.decrypt(b"sealed", "ak")


def test_what_was_not_opened_does_not(client: Client, sealer: KmsSealer) -> None:
    sealer.decrypt(b"sealed", "ak")
    client.failure = TIMEOUT
    for sealed, access_key in ((b"newer", "ak"), (b"sealed", "other")):
        with pytest.raises(Unavailable):
            sealer.decrypt(sealed, access_key)


@pytest.mark.parametrize("code", ["DisabledException", "AccessDeniedException", "KMSInvalidStateException"])
def test_a_key_that_was_switched_off_opens_nothing(client: Client, sealer: KmsSealer, code: str) -> None:
    sealer.decrypt(b"sealed", "ak")
    client.failure = client_error(code, 400)
    for _ in range(5):
        with pytest.raises(Unavailable, match=code):
            sealer.decrypt(b"sealed", "ak")
    assert client.calls == 6, "what is refused is no fault of KMS"


def test_it_is_asked_first(client: Client, sealer: KmsSealer) -> None:
    for _ in range(3):
        sealer.decrypt(b"sealed", "ak")
    assert client.calls == 3


@pytest.mark.parametrize(
    "config", [kms_sealer.CONFIG, s3_objects.CONFIG, sqs_dead_letters.CONFIG, dynamodb_table.CONFIG]
)
def test_no_store_holds_a_call_longer_than_the_gateway_waits(config: Any) -> None:
    tries = config.retries["total_max_attempts"]
    assert tries * (config.connect_timeout + config.read_timeout) <= 15
