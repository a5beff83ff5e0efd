"""What every resource of the template must have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from lookalike.settings import Settings
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
    assert len(targets) == sum(len(function["Events"]) for function in template.functions().values())
    assert all("Aliaslive" in target for target in targets)


def test_functions_give_up_before_the_gateway_does(template: Template) -> None:
    for operation, routes in template.routes().items():
        timeout = template.functions()[operation]["Timeout"]["Ref"]
        if routes:
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
    }
    assert min(memory.values()) >= 512


def test_what_nobody_waits_for_leaves_dead_letters(template: Template) -> None:
    background = {name for name, routes in template.routes().items() if not routes}
    assert background == {"purge"}
    queues = template.of_type("AWS::SQS::Queue")
    for operation in background:
        dead = template.functions()[operation]["DeadLetterQueue"]["TargetArn"]["Fn::GetAtt"]
        assert queues[dead[0]]["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
    for schedule in template.of_type("AWS::Scheduler::Schedule").values():
        assert schedule["Properties"]["Target"]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] in queues
        assert schedule["Properties"]["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0
        assert schedule["Properties"]["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"
        json.loads(schedule["Properties"]["Target"]["Input"])


def test_two_stacks_fit_into_one_account(template: Template) -> None:
    named = {
        name: value
        for name, resource in template.translated["Resources"].items()
        for key, value in resource.get("Properties", {}).items()
        if key in ("Name", "QueueName", "FunctionName", "RoleName", "LogGroupName", "BucketName", "TableName")
        and resource["Type"] not in ("AWS::Lambda::Alias", "AWS::Lambda::Permission", "AWS::Lambda::Version")
        and resource["Type"] != "AWS::ApiGatewayV2::Api"
    }
    assert "PurgeFunctionSchedule" in named
    for name, value in named.items():
        assert "${AWS::StackName}" in json.dumps(value), name


def test_every_layer_publishes_its_versions(template: Template) -> None:
    layers = template.of_type("AWS::Serverless::LayerVersion")
    for layer in layers.values():
        assert layer["Metadata"] == {"BuildMethod": "makefile"}
        assert layer["Properties"]["PublishLambdaVersion"] is True
    for function in template.functions().values():
        assert {layer["Ref"] for layer in function["Layers"]} == set(layers)


@pytest.mark.parametrize("folder", LAYERS)
def test_a_change_in_a_layer_goes_live(template: Template, text: str, folder: str) -> None:
    assert text.count(folder) == 1
    changed = Template.of(text.replace(folder, folder + "-changed"))
    before, after = (set(each.of_type("AWS::Lambda::Version")) for each in (template, changed))
    assert len(before) == len(after) == len(template.functions())
    assert not before & after


def test_no_policy_is_about_everything(template: Template) -> None:
    statements = list(_statements(template))
    assert statements
    for role, statement in statements:
        assert "*" not in json.dumps(statement["Resource"]), role
        actions = statement["Action"]
        assert "*" not in json.dumps(actions), role
    for resource in template.of_type("AWS::IAM::Role").values():
        assert set(resource["Properties"].get("ManagedPolicyArns", [])) <= {BASIC_POLICY}


def _statements(template: Template) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every statement of every role, with the role's name."""
    for name, role in template.of_type("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def test_the_environment_is_what_the_settings_read(template: Template) -> None:
    for function in template.functions().values():
        variables = function["Environment"]["Variables"]
        environment = {name: str(template.value(given)) for name, given in variables.items()}
        assert Settings.from_environment(environment) == Settings(metrics=True)


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
