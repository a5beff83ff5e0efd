"""What S3 answers beyond the contract: refusals, faults, conditions, and metadata in every form it comes in."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError

from lookalike.errors import InvalidArgument, Unavailable
from lookalike.stores.aws.s3_objects import CONFIG, S3Store, S3Uploads, decode_metadata


@pytest.fixture
def client() -> Any:
    return boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=CONFIG
    )


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_removal_goes_in_batches_of_a_thousand(client: Any, stub: Stubber) -> None:
    sizes = []
    client.meta.events.register(
        "before-parameter-build.s3.DeleteObjects", lambda params, **_: sizes.append(len(params["Delete"]["Objects"]))
    )
    for _ in range(3):
        stub.add_response("delete_objects", {}, {"Bucket": "b", "Delete": ANY})
    S3Store(client, "b").remove([f"library/{number}/1" for number in range(2500)])
    assert sizes == [1000, 1000, 500]


def test_objects_that_s3_does_not_remove_are_said_once_the_others_are(client: Any, stub: Stubber) -> None:
    errors = [{"Key": "k", "Code": code} for code in ("AccessDenied", "InternalError", "NoSuchKey")]
    stub.add_response("delete_objects", {"Errors": errors}, {"Bucket": "b", "Delete": ANY})
    stub.add_response("delete_objects", {}, {"Bucket": "b", "Delete": ANY})
    with pytest.raises(Unavailable, match="did not remove 2 of 1001 objects: AccessDenied, InternalError"):
        S3Store(client, "b").remove([f"library/{number}/1" for number in range(1001)])


def test_objects_that_were_not_there_do_not_matter(client: Any, stub: Stubber) -> None:
    stub.add_response("delete_objects", {"Errors": [{"Key": "k", "Code": "NoSuchKey"}]}, None)
    S3Store(client, "b").remove(["library/a/1"])


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown", "InternalError", "NoSuchBucket"])
def test_what_s3_refuses_is_unavailable(client: Any, stub: Stubber, code: str) -> None:
    for operation in ("put_object", "get_object", "delete_objects", "head_object", "get_object", "delete_object"):
        stub.add_client_error(operation, code)
    store, uploads = S3Store(client, "b"), S3Uploads(client)
    for call in (
        lambda: store.put("l/a/1", b""),
        lambda: store.get("l/a/1"),
        lambda: store.remove(["l/a/1"]),
        lambda: uploads.head("b", "k"),
        lambda: uploads.read("b", "k", "e"),
        lambda: uploads.remove("b", "k", "e"),
    ):
        with pytest.raises(Unavailable, match=code):
            call()


def test_an_s3_that_does_not_answer_is_unavailable(client: Any) -> None:
    def unreachable(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://s3")

    client.meta.events.register("before-send.s3", unreachable)
    with pytest.raises(Unavailable, match="Could not connect"):
        S3Store(client, "b").get("l/a/1")


@pytest.mark.parametrize(("code", "what"), [("404", "there is no bucket b"), ("403", "403")])
def test_an_object_whose_bucket_is_not_there_is_not_gone(client: Any, stub: Stubber, code: str, what: str) -> None:
    stub.add_client_error("head_object", "404", http_status_code=404)
    stub.add_client_error("head_bucket", code, http_status_code=int(code))
    with pytest.raises(Unavailable, match=what):
        S3Uploads(client).head("b", "k")


class BrokenOff(io.BytesIO):
    """A connection that ends in the middle of a body."""

    def read(self, *_: Any) -> bytes:
        raise ProtocolError("Connection broken: IncompleteRead")


def test_a_body_that_breaks_off_is_unavailable(client: Any, stub: Stubber) -> None:
    for _ in range(2):
        stub.add_response("get_object", {"Body": StreamingBody(BrokenOff(), 10)}, None)
    with pytest.raises(Unavailable, match="IncompleteRead"):
        S3Store(client, "b").get("l/a/1")
    with pytest.raises(Unavailable, match="IncompleteRead"):
        S3Uploads(client).read("b", "k", "e")


def test_reading_and_removing_an_upload_are_pinned_to_its_etag(client: Any, stub: Stubber) -> None:
    pinned = {"Bucket": "b", "Key": "k", "IfMatch": '"e"'}
    stub.add_client_error("get_object", "PreconditionFailed", http_status_code=412, expected_params=pinned)
    stub.add_client_error("delete_object", "PreconditionFailed", http_status_code=412, expected_params=pinned)
    uploads = S3Uploads(client)
    assert uploads.read("b", "k", "e") is None
    uploads.remove("b", "k", "e")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("100% wool", "100% wool"),
        ("%E4%B9%A6", "书"),
        ("a+b", "a+b"),
        ("=?UTF-8?B?5Lmm?=", "书"),
        ("=?UTF-8?Q?=E4=B9=A6_x?=", "书 x"),
        ("=?not?encoded", "=?not?encoded"),
    ],
)
def test_metadata_is_read_in_the_forms_it_comes_in(value: str, text: str) -> None:
    assert decode_metadata({"Brief": value}) == {"brief": text}


@pytest.mark.parametrize("value", ["%FF", "%E4%B9", "=?nonsense?B?5Lmm?=", "=?UTF-8?B?5Lm?=", "=?UTF-8?B?/w==?="])
def test_metadata_in_no_such_form_is_refused_by_name(value: str) -> None:
    with pytest.raises(InvalidArgument, match="brief"):
        decode_metadata({"brief": value})


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_percent_encoded_metadata_comes_back_as_it_was(text: str) -> None:
    assert decode_metadata({"desc": quote(text)}) == {"desc": text}
