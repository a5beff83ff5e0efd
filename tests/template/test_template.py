"""What every resource of the template must have."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from lookalike.cli.store_options import OUTPUTS
from lookalike.observability import count_failures
from lookalike.service.canary import MAX_SECONDS
from lookalike.settings import AWS_STORES, Settings
from lookalike.stores.aws.dynamodb_keys import pictures_partition
from lookalike.stores.aws.dynamodb_table import EXPIRY_ATTRIBUTE, TABLE_DEFINITION
from lookalike.stores.aws.s3_staging import PREFIX
from tests.template.conftest import ROOT, Template

LAYERS = ("layers/lookalike", "layers/runtime/${Architecture}", "layers/model")

#: What SAM gives every function: writing logs.
BASIC_POLICY = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"

#: API Gateway gives up after this many seconds and cannot be told otherwise.
GATEWAY_SECONDS = 30

#: The purge stops this many seconds before its time is up.
PURGE_SPARE_SECONDS = 30


def test_every_folder_is_a_function_and_every_function_a_folder(template: Template) -> None:
    folders = {app.parent.name for app in (ROOT / "functions").glob("*/app.py")}
    assert set(template.functions()) == folders


def test_every_function_is_deployed_as_it_lies_there(template: Template) -> None:
    for resource in template.of_type("AWS::Serverless::Function").values():
        assert resource["Metadata"] == {"SkipBuild": True}
    for function in template.functions().values():
        assert function["Handler"] == "app.handler"
        assert function["Runtime"] == "python3.13"


def test_every_function_logs_into_a_group_that_forgets(template: Template) -> None:
    groups = template.of_type("AWS::Logs::LogGroup")
    used = {function["LoggingConfig"]["LogGroup"]["Ref"] for function in template.functions().values()}
    assert len(used) == len(template.functions()), "two functions share a log group"
    assert used | {"ApiLogs"} == set(groups)
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert "${AWS::StackName}" in group["Properties"]["LogGroupName"]["Fn::Sub"]


def test_every_function_goes_live_with_all_its_properties(template: Template) -> None:
    for resource in template.of_type("AWS::Serverless::Function").values():
        assert resource["Properties"]["AutoPublishAlias"] == "live"
        assert resource["Properties"]["AutoPublishAliasAllProperties"] is True


def test_what_triggers_a_function_calls_its_live_alias(template: Template) -> None:
    (api,) = template.of_type("AWS::ApiGatewayV2::Api").values()
    targets = [
        json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
        for operations in api["Properties"]["Body"]["paths"].values()
        for operation in operations.values()
    ]
    targets += [
        json.dumps(schedule["Properties"]["Target"]["Arn"])
        for schedule in template.of_type("AWS::Scheduler::Schedule").values()
    ]
    targets += [
        json.dumps(mapping["Properties"]["FunctionName"])
        for mapping in template.of_type("AWS::Lambda::EventSourceMapping").values()
    ]
    assert len(targets) == sum(len(function["Events"]) for function in template.functions().values())
    assert all("Aliaslive" in target for target in targets)


def test_functions_give_up_before_the_gateway_does(template: Template) -> None:
    for operation, routes in template.routes().items():
        if routes:
            timeout = template.functions()[operation]["Timeout"]["Ref"]
            assert template.source["Parameters"][timeout]["MaxValue"] < GATEWAY_SECONDS


def test_the_purge_has_time_to_work_before_it_stops(template: Template) -> None:
    timeout = template.source["Parameters"][template.functions()["purge"]["Timeout"]["Ref"]]
    assert timeout["MinValue"] >= 2 * PURGE_SPARE_SECONDS
    assert timeout["MaxValue"] == 900, "Lambda's own limit"


def test_functions_that_read_pictures_have_a_whole_processor(template: Template) -> None:
    memory = {name: template.value(function["MemorySize"]) for name, function in template.functions().items()}
    assert {name for name, megabytes in memory.items() if megabytes >= 1769} == {
        "add",
        "search",
        "update",
        "delete",
        "groups",
        "ingest",
        "jobs",
        "canary",
    }
    assert {name for name, megabytes in memory.items() if megabytes < 512} == {"console"}


def test_what_nobody_waits_for_leaves_dead_letters(template: Template) -> None:
    background = {name for name, routes in template.routes().items() if not routes} - {"canary"}
    assert background == {"purge", "jobs", "ingest", "index"}
    queues = template.of_type("AWS::SQS::Queue")
    mappings = template.of_type("AWS::Lambda::EventSourceMapping")
    dead = [
        template.functions()["purge"]["DeadLetterQueue"]["TargetArn"],
        template.functions()["jobs"]["DeadLetterQueue"]["TargetArn"],
        queues["UploadQueue"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"],
        mappings["IndexFunctionStream"]["Properties"]["DestinationConfig"]["OnFailure"]["Destination"],
    ]
    for arn in dead:
        assert queues[arn["Fn::GetAtt"][0]]["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
    assert len({arn["Fn::GetAtt"][0] for arn in dead}) == len(background)
    for name, schedule in template.of_type("AWS::Scheduler::Schedule").items():
        if name == "CanaryFunctionSchedule":
            continue  # which has nothing to do that the next run does not
        assert schedule["Properties"]["Target"]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] in queues
        assert schedule["Properties"]["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0
        assert schedule["Properties"]["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"
        json.loads(schedule["Properties"]["Target"]["Input"])


def test_what_a_function_buries_goes_where_the_trigger_buries_it(template: Template) -> None:
    functions, queues = template.functions(), template.of_type("AWS::SQS::Queue")
    buried = {
        name: function["Environment"]["Variables"].get("LOOKALIKE_DEAD_LETTERS") for name, function in functions.items()
    }
    assert {name: where["Ref"] for name, where in buried.items() if where} == {
        "ingest": queues["UploadQueue"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0],
        "index": "IndexDeadLetters",
    }


def test_uploads_come_back_until_they_are_given_up(template: Template) -> None:
    (mapping,) = (
        one["Properties"]
        for name, one in template.of_type("AWS::Lambda::EventSourceMapping").items()
        if "Ingest" in name
    )
    queue = template.of_type("AWS::SQS::Queue")[mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * template.functions()["ingest"]["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    condition, kept, otherwise = mapping["ScalingConfig"]["MaximumConcurrency"]["Fn::If"]
    assert (condition, kept, otherwise) == ("IngestRunsAreKept", {"Ref": "IngestConcurrency"}, 10)
    bucket = template.of_type("AWS::S3::Bucket")["Uploads"]
    assert bucket["DependsOn"] == "UploadQueuePolicy"
    put, kept = bucket["Properties"]["NotificationConfiguration"]["QueueConfigurations"]
    condition, nothing, removed = kept["Fn::If"]
    assert (condition, nothing) == ("UploadsGo", {"Ref": "AWS::NoValue"}), "what we remove is no news"
    notifications = [put, removed]
    assert [one["Event"] for one in notifications] == ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    for notification in notifications:
        assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "uploads/"}]


def test_files_sent_ahead_go_by_themselves_and_no_event_tells_of_them(template: Template) -> None:
    bucket = template.of_type("AWS::S3::Bucket")["Uploads"]["Properties"]
    (rule,) = (one for one in bucket["LifecycleConfiguration"]["Rules"] if one.get("Prefix") == PREFIX)
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 1)
    told = json.dumps(bucket["NotificationConfiguration"])
    assert f'"Value": "{PREFIX}' not in told
    assert told.count('"Name": "prefix"') == told.count('"Value": "uploads/"') == 2
    (cors,) = bucket["CorsConfiguration"]["CorsRules"]
    assert cors["AllowedMethods"] == ["POST"]


def test_uploads_are_kept_unless_days_are_named(template: Template) -> None:
    rules = template.of_type("AWS::S3::Bucket")["Uploads"]["Properties"]["LifecycleConfiguration"]["Rules"]
    condition, rule, otherwise = rules[2]["Fn::If"]
    assert (template.source["Parameters"]["UploadDays"]["Default"], otherwise) == (0, {"Ref": "AWS::NoValue"})
    assert template.source["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "UploadDays"}, 0]}]}
    assert (rule["Prefix"], rule["ExpirationInDays"]) == ("uploads/", {"Ref": "UploadDays"})


def test_the_queue_takes_from_our_bucket_alone(template: Template) -> None:
    (policy,) = template.of_type("AWS::SQS::QueuePolicy").values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    text, values = statement["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    separator, (prefix, suffix) = template.of_type("AWS::S3::Bucket")["Uploads"]["Properties"]["BucketName"]["Fn::Join"]
    assert text.rpartition(":::")[2] == f"{prefix}{separator}${{Suffix}}"
    assert values == {"Suffix": suffix}


def test_the_stream_is_read_until_it_is_done(template: Template) -> None:
    (mapping,) = (
        one["Properties"]
        for name, one in template.of_type("AWS::Lambda::EventSourceMapping").items()
        if "Index" in name
    )
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": ["Table", "StreamArn"]}
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == -1
    assert "MaximumRecordAgeInSeconds" not in mapping
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    (pattern,) = (json.loads(one["Pattern"]) for one in mapping["FilterCriteria"]["Filters"])
    assert pattern["dynamodb"]["Keys"]["pk"]["S"] == [{"prefix": pictures_partition("", "")[:2]}]
    assert pattern.keys() == {"dynamodb"}, "rows that are removed, too"


def test_the_table_is_the_one_the_service_was_tested_with(template: Template) -> None:
    table = dict(template.of_type("AWS::DynamoDB::Table")["Table"]["Properties"])
    assert table.pop("DeletionProtectionEnabled") is True
    assert table.pop("PointInTimeRecoverySpecification") == {"PointInTimeRecoveryEnabled": True}
    assert table.pop("TimeToLiveSpecification") == {"AttributeName": EXPIRY_ATTRIBUTE, "Enabled": True}
    table["StreamSpecification"] = {"StreamEnabled": True, **table["StreamSpecification"]}
    assert table == TABLE_DEFINITION


def test_what_holds_state_stays(template: Template) -> None:
    stateful = (
        "AWS::DynamoDB::Table",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::KMS::Key",
        "AWS::OpenSearchService::Domain",
    )
    kept = {name: resource for kind in stateful for name, resource in template.of_type(kind).items()}
    assert set(kept) == {"Table", "Originals", "OriginalsPolicy", "Uploads", "UploadsPolicy", "Key", "Domain"}
    for resource in kept.values():
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_deploying_what_has_not_changed_is_no_failure() -> None:
    """SAM's command fails there otherwise, and `make deploy` would not get as far as the setup."""
    environments = tomllib.loads((ROOT / "samconfig.toml").read_text())
    deployments = [environments[name]["deploy"]["parameters"] for name in ("default", "dev", "prod")]
    assert [one["fail_on_empty_changeset"] for one in deployments] == [False] * 3


def test_buckets_are_private_and_speak_tls_alone(template: Template) -> None:
    policies = template.of_type("AWS::S3::BucketPolicy")
    for name, bucket in template.of_type("AWS::S3::Bucket").items():
        assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        assert bucket["Properties"]["BucketEncryption"]
        (denied,) = policies[f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"]
        assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert denied["Resource"] == [{"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}/*"}]


def test_the_domain_is_made_only_if_there_is_none(template: Template) -> None:
    domain = template.of_type("AWS::OpenSearchService::Domain")["Domain"]
    assert domain["Condition"] == "NewDomain"
    made = domain["Properties"]
    assert made["DomainEndpointOptions"]["EnforceHTTPS"] is True
    assert made["EncryptionAtRestOptions"] == made["NodeToNodeEncryptionOptions"] == {"Enabled": True}
    (statement,) = made["AccessPolicies"]["Statement"]
    assert statement["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    for name, resource in template.translated["Resources"].items():
        if "Condition" not in resource or any(
            template.holds({"Condition": resource["Condition"]}, **without)
            for without in ({"OpenSearchEndpoint": "https://another"}, {"VectorStore": "segments"})
        ):
            for mention in re.findall(r'\{"Fn::If": \["NewDomain", .*?"OpenSearch', json.dumps(resource)):
                assert "Domain" in mention
            bare = re.sub(r'\{"Fn::If": \["NewDomain", .*?"OpenSearch', "", json.dumps(resource))
            assert '"Domain"' not in bare, f"{name} needs a domain that may not be there"
            assert "${Domain" not in bare, f"{name} needs a domain that may not be there"


def test_everything_that_can_go_wrong_unseen_has_an_alarm(template: Template) -> None:
    alarms = template.of_type("AWS::CloudWatch::Alarm")
    watched = {
        (alarm["Properties"]["MetricName"], json.dumps(alarm["Properties"]["Dimensions"][0]["Value"]))
        for name, alarm in alarms.items()
        if name != "Spending"  # which adds up what costs something
    }
    for function in ("Ingest", "Index", "Purge", "Jobs"):  # what fails for HTTP clients is the gateway's 5xx
        for metric in ("Errors", "Throttles"):
            assert (metric, f'{{"Ref": "{function}Function"}}') in watched
    for queue in template.of_type("AWS::SQS::Queue"):
        metric = "ApproximateNumberOfMessagesVisible" if "DeadLetters" in queue else "ApproximateAgeOfOldestMessage"
        assert (metric, f'{{"Fn::GetAtt": ["{queue}", "QueueName"]}}') in watched
    assert ("5xx", '{"Ref": "Api"}') in watched
    assert ("IteratorAge", '{"Ref": "IndexFunction"}') in watched
    for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
        assert (metric, '{"Ref": "Table"}') in watched
    (waiting,) = template.of_type("AWS::DynamoDB::Table")["Table"]["Properties"]["GlobalSecondaryIndexes"]
    (index,) = alarms["WaitingThrottled"]["Properties"]["Dimensions"][1:]
    assert index == {"Name": "GlobalSecondaryIndexName", "Value": waiting["IndexName"]}
    assert {metric for metric, target in watched if "Domain" in target} == {
        "ClusterIndexWritesBlocked",
        "ClusterStatus.red",
        "ClusterStatus.yellow",
        "FreeStorageSpace",
        "JVMMemoryPressure",
    }
    for alarm in alarms.values():
        assert alarm["Properties"]["AlarmDescription"]
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching"
        assert alarm["Properties"]["AlarmActions"]["Fn::If"][0] == "AlarmsAreSent"


@pytest.mark.parametrize(
    ("metrics", "store", "expected"),
    [
        ("all", "opensearch", 26),
        ("all", "segments", 21),
        ("few", "opensearch", 15),
        ("few", "segments", 10),
        ("none", "opensearch", 0),
        ("none", "segments", 0),
    ],
)
def test_alarms_are_as_many_as_were_asked_for(template: Template, metrics: str, store: str, expected: int) -> None:
    """CloudWatch's free tier has ten."""
    assert len(template.there("AWS::CloudWatch::Alarm", Metrics=metrics, VectorStore=store)) == expected
    written = template.source["Globals"]["Function"]["Environment"]["Variables"]["LOOKALIKE_METRICS"]
    assert template.value(written, Metrics=metrics) == ("true" if metrics == "all" else "false")


@pytest.mark.parametrize("metrics", ["all", "few", "none"])
def test_what_an_operator_asks_for_by_itself_is_made_whatever_metrics_are(template: Template, metrics: str) -> None:
    asked_for = {"Canary": "true", "SpendingLimit": "2"}
    made = template.there("AWS::CloudWatch::Alarm", Metrics=metrics, **asked_for).keys()
    assert made - template.there("AWS::CloudWatch::Alarm", Metrics=metrics).keys() == {"CanaryErrors", "Spending"}


def test_a_domain_of_the_operators_own_has_no_alarms_of_ours(template: Template) -> None:
    own = {"OpenSearchEndpoint": "https://another", "OpenSearchArn": "arn:aws:es:eu-west-1:000000000000:domain/another"}
    assert len(template.there("AWS::CloudWatch::Alarm", Metrics="few", **own)) == 10


@pytest.mark.parametrize(("metrics", "expected"), [("all", 1), ("few", 1), ("none", 0)])
def test_a_stack_that_watches_nothing_has_no_dashboard(template: Template, metrics: str, expected: int) -> None:
    """CloudWatch's free tier has three, for the whole account."""
    assert len(template.there("AWS::CloudWatch::Dashboard", Metrics=metrics)) == expected
    (dashboard,) = template.of_type("AWS::CloudWatch::Dashboard").values()
    assert template.source["Outputs"]["DashboardUrl"]["Condition"] == dashboard["Condition"]


def test_the_parameter_says_how_many_alarms_there_are(template: Template) -> None:
    said = template.source["Parameters"]["Metrics"]["Description"]
    alarms = {
        one: len(template.there("AWS::CloudWatch::Alarm", Metrics=one, VectorStore="segments"))
        for one in ("all", "few")
    }
    of_a_domain = len(template.there("AWS::CloudWatch::Alarm", Metrics="few")) - alarms["few"]
    assert [int(number) for number in re.findall(r"\d+", said)] == [alarms["all"], alarms["few"], of_a_domain]


def test_few_alarms_tell_of_what_is_lost_or_fails_and_need_no_metrics_of_ours(template: Template) -> None:
    few = template.there("AWS::CloudWatch::Alarm", Metrics="few", VectorStore="segments")
    assert {"lookalike"}.isdisjoint(alarm["Properties"]["Namespace"] for alarm in few.values())
    letters = [queue for queue in template.of_type("AWS::SQS::Queue") if "DeadLetters" in queue]
    watched = json.dumps(few)
    assert all(f'["{queue}", "QueueName"]' in watched for queue in letters)
    assert {f"{function}Errors" for function in ("Api", "Ingest", "Index", "Purge", "Jobs")} < few.keys()


@pytest.mark.parametrize("store", ["opensearch", "segments"])
def test_a_stack_has_a_domain_or_searches_segments(template: Template, store: str) -> None:
    is_domain = store == "opensearch"
    assert len(template.there("AWS::OpenSearchService::Domain", VectorStore=store)) == is_domain
    for policy in ("MaySearchIndex", "MayWriteIndex"):
        written = template.of_type("AWS::IAM::ManagedPolicy")[policy]["Properties"]["PolicyDocument"]["Statement"]
        given = [one for one in (template.value(one, VectorStore=store) for one in written) if one is not None]
        actions = {action.partition(":")[0] for one in given for action in one["Action"]}
        assert actions == ({"es"} if is_domain else {"s3", "dynamodb"})


def test_the_gateway_lets_so_many_requests_pass_and_no_more(template: Template) -> None:
    (stage,) = template.of_type("AWS::ApiGatewayV2::Stage").values()
    assert stage["Properties"]["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "RequestRate"},
        "ThrottlingBurstLimit": {"Ref": "RequestBurst"},
    }
    assert "RouteSettings" not in stage["Properties"], "a route of its own would have a rate of its own"
    assert 1 <= template.source["Parameters"]["RequestRate"]["Default"] <= 1000
    assert 1 <= template.source["Parameters"]["RequestBurst"]["Default"] <= 1000


def test_what_is_kept_for_a_function_is_asked_for(template: Template) -> None:
    """A new account has 10 runs at a time and may keep none of them, so a deployment that says nothing keeps none."""
    kept = {
        name: function["ReservedConcurrentExecutions"]
        for name, function in template.functions().items()
        if "ReservedConcurrentExecutions" in function
    }
    nothing = {"Ref": "AWS::NoValue"}
    assert kept == {
        "index": {"Fn::If": ["IndexRunsAreKept", {"Ref": "IndexConcurrency"}, nothing]},
        "ingest": {"Fn::If": ["IngestRunsAreKept", {"Ref": "IngestConcurrency"}, nothing]},
    }
    for function, parameter in (("Index", "IndexConcurrency"), ("Ingest", "IngestConcurrency")):
        assert template.source["Parameters"][parameter]["Default"] == ""
        condition = template.source["Conditions"][f"{function}RunsAreKept"]
        assert condition == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}


def test_spending_is_watched_if_an_operator_says_how_much(template: Template) -> None:
    alarm = template.of_type("AWS::CloudWatch::Alarm")["Spending"]
    assert alarm["Condition"] == "SpendingIsWatched"
    assert template.source["Parameters"]["SpendingLimit"]["Default"] == ""
    assert alarm["Properties"]["Threshold"] == {"Ref": "SpendingLimit"}
    (sum_,), metrics = (
        [one for one in alarm["Properties"]["Metrics"] if ("Expression" in one) == is_sum] for is_sum in (True, False)
    )
    named = set(re.findall(r"[a-z]+", re.sub(r"\$\{\w+\}", "", sum_["Expression"]["Fn::Sub"])))
    assert named == {one["Id"] for one in metrics}
    assert all(one["ReturnData"] is False for one in metrics)
    assert {(one["MetricStat"]["Stat"], one["MetricStat"]["Period"]) for one in metrics} == {("Sum", 3600)}
    working = {one["Id"] for one in metrics if one["MetricStat"]["Metric"]["Namespace"] == "AWS/Lambda"}
    memory = {name: function["MemorySize"] for name, function in template.functions().items()}
    assert working == {name for name, size in memory.items() if size == {"Ref": "PictureMemory"}} | {"jobs"}
    assert len(metrics) <= 10, "CloudWatch's own limit (API reference, MetricDataQuery)"


def test_the_canary_is_made_only_if_it_is_asked_for(template: Template) -> None:
    assert template.source["Parameters"]["Canary"]["Default"] == "false"
    assert template.source["Conditions"]["CanaryRuns"] == {"Fn::Equals": [{"Ref": "Canary"}, "true"]}
    named = {name: resource for name, resource in template.translated["Resources"].items() if "Canary" in name}
    assert {resource["Type"].rpartition("::")[2] for resource in named.values()} == {
        "Function",
        "Version",
        "Alias",
        "EventInvokeConfig",
        "Role",
        "Schedule",
        "LogGroup",
        "Alarm",
    }
    assert {resource.get("Condition") for resource in named.values()} == {"CanaryRuns"}
    others = {name: one for name, one in template.translated["Resources"].items() if name not in named}
    assert "CanaryFunction" not in json.dumps(others), "what is not there cannot be referred to"


def test_a_canary_that_is_not_well_is_one_error_with_an_alarm(template: Template) -> None:
    config = template.functions()["canary"]["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 0
    alarm = template.of_type("AWS::CloudWatch::Alarm")["CanaryErrors"]["Properties"]
    assert (alarm["MetricName"], alarm["Dimensions"][0]["Value"]) == ("Errors", {"Ref": "CanaryFunction"})
    assert template.functions()["canary"]["Timeout"] > 2 * MAX_SECONDS + 30


#: The metrics that alarms watch without a resource of AWS behind them: what :func:`lookalike.observability.count_failures` writes.
FAILURES = {"request": "RequestFailures", "ingest": "IngestRetries", "index": "IndexRetries"}


@pytest.mark.parametrize(("trigger", "name"), FAILURES.items())
def test_failures_that_lambda_does_not_see_have_an_alarm(
    template: Template, trigger: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    count_failures(Settings(metrics=True, stack="lookalike-dev"), trigger)
    written = json.loads(capsys.readouterr().out)
    (described,) = written["_aws"]["CloudWatchMetrics"]
    alarm = template.of_type("AWS::CloudWatch::Alarm")[name]["Properties"]
    watched = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
    assert watched.pop("stack") == {"Ref": "AWS::StackName"}
    assert watched == {"trigger": written["trigger"]}
    assert [sorted(one) for one in described["Dimensions"]] == [["stack", "trigger"]]  # no more, and no less
    assert alarm["Namespace"] == described["Namespace"]
    assert [alarm["MetricName"]] == [one["Name"] for one in described["Metrics"]]
    assert (alarm["Statistic"], alarm["Threshold"], alarm["ComparisonOperator"]) == ("Sum", 0, "GreaterThanThreshold")


def test_the_dashboard_shows_this_stack_alone(template: Template) -> None:
    (dashboard,) = template.of_type("AWS::CloudWatch::Dashboard").values()
    searches = re.findall(r"SEARCH\('\{lookalike,.*?\)", dashboard["Properties"]["DashboardBody"]["Fn::Sub"])
    assert searches
    assert all("{lookalike,operation,outcome,stack} " in one and "${AWS::StackName}" in one for one in searches)


def test_the_dashboard_can_be_read(template: Template) -> None:
    (dashboard,) = template.of_type("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"]
    assert all(widget["properties"]["title"] and widget["properties"]["metrics"] for widget in widgets)


def test_two_stacks_fit_into_one_account(template: Template) -> None:
    keys = ("Name", "QueueName", "FunctionName", "RoleName", "LogGroupName", "BucketName", "TableName", "DashboardName")
    named = {
        name: value
        for name, resource in template.translated["Resources"].items()
        for key, value in resource.get("Properties", {}).items()
        if key in keys
        and not resource["Type"].startswith("AWS::Lambda::")
        and resource["Type"] != "AWS::ApiGatewayV2::Api"
    }
    assert {"PurgeFunctionSchedule", "JobsFunctionSchedule", "Uploads", "Dashboard"} <= set(named)
    for name, value in named.items():
        assert "AWS::StackName" in json.dumps(value) or "AWS::StackId" in json.dumps(value), name


def test_every_layer_publishes_its_versions(template: Template) -> None:
    layers = template.of_type("AWS::Serverless::LayerVersion")
    for layer in layers.values():
        assert layer["Metadata"] == {"BuildMethod": "makefile"}
        assert layer["Properties"]["PublishLambdaVersion"] is True
    for operation, function in template.functions().items():
        has = {"LookalikeLayer"} if operation == "console" else set(layers)
        assert {layer["Ref"] for layer in function["Layers"]} == has


@pytest.mark.parametrize("folder", LAYERS)
def test_a_change_in_a_layer_goes_live(template: Template, text: str, folder: str) -> None:
    assert text.count(folder) == 1
    changed = Template.of(text.replace(folder, folder + "-changed"))
    before, after = (set(each.of_type("AWS::Lambda::Version")) for each in (template, changed))
    assert len(before) == len(after) == len(template.functions())
    same = {name for name in before & after if not name.startswith("ConsoleFunction")}
    assert not same
    assert (before & after == same) == (folder == "layers/lookalike"), "the console's function has that layer alone"


#: Actions that IAM knows no resources for, and that change nothing.
WITHOUT_RESOURCES = {"cloudwatch:GetMetricData"}


def test_no_policy_is_about_everything(template: Template) -> None:
    statements = list(_statements(template))
    assert statements
    for role, statement in statements:
        actions = statement["Action"]
        assert "*" not in json.dumps(actions), role
        if set(actions) <= WITHOUT_RESOURCES:
            continue
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for resource in resources:  # a star may stand for objects of a bucket or indices of a domain, which are named
            said = json.dumps(resource)
            assert "*" not in said or re.search(r"\b(Table|Originals|Uploads|Domain)\b", said.partition("*")[0]), (
                role,
                said,
            )
    for resource in template.of_type("AWS::IAM::Role").values():
        for arn in resource["Properties"].get("ManagedPolicyArns", []):
            ours = isinstance(arn, dict) and arn.get("Ref") in template.of_type("AWS::IAM::ManagedPolicy")
            assert ours or BASIC_POLICY.removeprefix("arn:aws") in json.dumps(arn), arn


def test_functions_reach_our_indices_alone(template: Template) -> None:
    """A path without an index could be about any; what a body says no policy sees."""
    paths = [
        resource["Fn::Join"][1][1]
        for _, statement in _statements(template)
        if "es:ESHttpPost" in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert sorted(paths) == [f"/lookalike-*/{call}" for call in ("_bulk", "_count", "_refresh", "_search")]


def test_every_permission_to_be_had_is_given_to_somebody(template: Template) -> None:
    given = json.dumps(template.of_type("AWS::IAM::Role"))
    for name in template.of_type("AWS::IAM::ManagedPolicy"):
        assert f'{{"Ref": "{name}"}}' in given


def _statements(template: Template) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every statement of every role, and of every policy for them, with its name."""
    for name, role in template.of_type("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            written = policy["PolicyDocument"]["Statement"]
            for statement in written if isinstance(written, list) else [written]:
                yield name, statement["Fn::If"][1] if "Fn::If" in statement else statement
    for name, policy in template.of_type("AWS::IAM::ManagedPolicy").items():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield name, statement["Fn::If"][1] if "Fn::If" in statement else statement


#: What of a function's environment is only known once it is deployed.
DEPLOYED = {
    "LOOKALIKE_TABLE": "table",
    "LOOKALIKE_BUCKET": "bucket",
    "LOOKALIKE_OPENSEARCH": "https://search.example",
    "LOOKALIKE_KEY": "key",
    "LOOKALIKE_STACK": "lookalike-dev",
}


def test_the_environment_is_what_the_settings_read(template: Template) -> None:
    shared = template.source["Globals"]["Function"]["Environment"]["Variables"]
    assert set(DEPLOYED) < set(shared)
    for function in template.functions().values():
        variables = {**shared, **function["Environment"]["Variables"]}
        assert variables.pop("LOOKALIKE_UPLOADS", None) in (None, {"Ref": "Uploads"})
        assert variables.pop("LOOKALIKE_INDEX_FUNCTION", None) in (None, {"Ref": "IndexFunction"})
        assert len(variables.pop("LOOKALIKE_DEAD_LETTER_QUEUES", {"Fn::Join": ("", "1234")})["Fn::Join"][1]) == 4
        queue = variables.pop("LOOKALIKE_DEAD_LETTERS", None)
        assert queue is None or queue["Ref"] in template.of_type("AWS::SQS::Queue")
        environment = {name: str(template.value(given)) for name, given in variables.items() if name not in DEPLOYED}
        read = Settings.from_environment({**environment, **DEPLOYED})
        waits = function["Environment"]["Variables"].get("LOOKALIKE_WAIT_FOR_INDEX", "true") == "true"
        patient = function["CodeUri"] in (
            "functions/index",
            "functions/purge",
            "functions/jobs",
        )  # which nobody waits for
        seconds = 10.0 if patient else 1.5
        expected = replace(Settings.from_environment(DEPLOYED), metrics=True, wait_for_index=waits)
        assert read == replace(expected, index_seconds=seconds)


def test_commands_find_the_stores_by_the_stacks_outputs(template: Template) -> None:
    outputs, variables = template.source["Outputs"], template.source["Globals"]["Function"]["Environment"]["Variables"]
    for setting in AWS_STORES:
        assert outputs[OUTPUTS[setting]]["Value"] == variables[f"LOOKALIKE_{setting.upper()}"]


def test_parameters_say_what_they_are_for_and_are_used(template: Template, text: str) -> None:
    groups = template.source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template.source["Parameters"])
    for name, parameter in template.source["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert "Default" in parameter, name
        assert f"!Ref {name}" in text or f"${{{name}}}" in text, name


def test_the_access_log_is_json_without_what_is_secret(template: Template) -> None:
    (stage,) = template.of_type("AWS::ApiGatewayV2::Stage").values()
    line = stage["Properties"]["AccessLogSettings"]["Format"]
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["path"] == "$context.path", "which has no query string"
    assert not any("authoriz" in field or "query" in field.lower() for field in fields.values())
