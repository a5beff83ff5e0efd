"""The backlog of a stack, as CloudWatch's metrics say it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from lookalike.domain.backlog import Backlog
from lookalike.errors import Unavailable
from lookalike.stores.aws.cloudwatch_backlog import CONFIG, CloudWatchBacklog

NOW = 1_767_323_045_000


def client() -> tuple[Any, Stubber]:
    made = boto3.Session("test", "test", region_name="us-east-1").client("cloudwatch", config=CONFIG)
    return made, Stubber(made)


def test_the_newest_values_count_and_all_are_asked_for_at_once() -> None:
    made, stub = client()
    results = [
        {"Id": "lag", "Values": [4200.0, 9000.0]},
        {"Id": "dead0", "Values": [2.0, 0.0]},
        {"Id": "dead1", "Values": []},
    ]
    expected = {"MetricDataQueries": ANY, "StartTime": ANY, "EndTime": ANY, "ScanBy": "TimestampDescending"}
    stub.add_response("get_metric_data", {"MetricDataResults": results}, expected)
    with stub:
        found = CloudWatchBacklog(made, "index", ("uploads", "index-dead"), lambda: NOW).backlog()
        stub.assert_no_pending_responses()
    assert found == Backlog(lag_ms=4200, dead_letters=2)


def test_a_function_without_work_reports_nothing_and_is_not_behind() -> None:
    made, stub = client()
    stub.add_response("get_metric_data", {"MetricDataResults": [{"Id": "lag", "Values": []}]})
    with stub:
        assert CloudWatchBacklog(made, "index", (), lambda: NOW).backlog() == Backlog(lag_ms=0)


def test_without_names_nothing_is_asked_or_known() -> None:
    made, stub = client()
    with stub:
        assert CloudWatchBacklog(made, "", (), lambda: NOW).backlog() == Backlog()


def test_a_refusal_is_unavailable() -> None:
    made, stub = client()
    stub.add_client_error("get_metric_data", "AccessDenied")
    with stub, pytest.raises(Unavailable, match="CloudWatch"):
        CloudWatchBacklog(made, "index", (), lambda: NOW).backlog()
