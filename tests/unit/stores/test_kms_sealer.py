"""KMS when it does not answer, and when it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from lookalike.errors import Unavailable
from lookalike.stores.aws import dynamodb_table, kms_sealer, s3_objects, sqs_dead_letters
from lookalike.stores.aws.kms_sealer import KEPT, KmsSealer
from tests.support.fakes import SetClock

AWAY = ReadTimeoutError(endpoint_url="https://kms")


def refusal(code: str, status: int) -> ClientError:
    """An error that KMS answers."""
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Decrypt")


class Client:
    """A KMS that opens whatever is sealed, unless it fails."""

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


OUT_OF_ORDER = [
    AWAY,
    refusal("ThrottlingException", 400),
    refusal("KMSInternalException", 500),
    refusal("DependencyTimeoutException", 503),
]


@pytest.mark.parametrize("failure", OUT_OF_ORDER)
def test_what_was_opened_opens_for_an_hour_though_kms_does_not_answer(
    client: Client, clock: SetClock, sealer: KmsSealer, failure: Exception
) -> None:
    assert sealer.open(b"sealed", "ak") == "opened sealed"
    client.failure = failure
    clock.now += KEPT - 1
    for _ in range(10):
        assert sealer.open(b"sealed", "ak") == "opened sealed"
    assert client.calls == 4, "a KMS that is away is left alone for a while"
    clock.now += 1
    with pytest.raises(Unavailable):
        sealer.open(b"sealed", "ak")


def test_what_was_not_opened_does_not(client: Client, sealer: KmsSealer) -> None:
    sealer.open(b"sealed", "ak")
    client.failure = AWAY
    for sealed, access_key in ((b"newer", "ak"), (b"sealed", "other")):
        with pytest.raises(Unavailable):
            sealer.open(sealed, access_key)


@pytest.mark.parametrize("code", ["DisabledException", "AccessDeniedException", "KMSInvalidStateException"])
def test_a_key_that_was_switched_off_opens_nothing(client: Client, sealer: KmsSealer, code: str) -> None:
    sealer.open(b"sealed", "ak")
    client.failure = refusal(code, 400)
    for _ in range(5):
        with pytest.raises(Unavailable, match=code):
            sealer.open(b"sealed", "ak")
    assert client.calls == 6, "what is refused is no fault of KMS"


def test_it_is_asked_first(client: Client, sealer: KmsSealer) -> None:
    for _ in range(3):
        sealer.open(b"sealed", "ak")
    assert client.calls == 3


@pytest.mark.parametrize(
    "config", [kms_sealer.CONFIG, s3_objects.CONFIG, sqs_dead_letters.CONFIG, dynamodb_table.CONFIG]
)
def test_no_store_holds_a_call_longer_than_the_gateway_waits(config: Any) -> None:
    tries = config.retries["total_max_attempts"]
    assert tries * (config.connect_timeout + config.read_timeout) <= 15
