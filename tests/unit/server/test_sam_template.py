"""Routes and schedules that one machine reads from the template."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.errors import SettingsError
from lookalike.server import sam_template


@pytest.fixture(scope="module")
def here() -> sam_template.Template:
    return sam_template.read()


@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        ("GET", "/oauth/2.0/token", "token"),
        ("POST", "/oauth/2.0/token", "token"),
        ("POST", "/rest/2.0/realtime_search/same_hq/add", "add"),
        ("POST", "/rest/2.0/image-classify/v1/realtime_search/similar/search", "search"),
        ("POST", "/rest/2.0/imagesearch/v1/realtime_search/picturebook/update", "update"),
        ("POST", "/rest/2.0/image-classify/v1/realtime_search/product/delete", "delete"),
        ("GET", "/rest/2.0/realtime_search/same_hq/add", "unknown"),
        ("POST", "/rest/2.0/realtime_search/same_hq/more/add", "unknown"),
        ("PATCH", "/", "unknown"),
        ("POST", "//rest/2.0/realtime_search/same_hq/add", "add"),
        ("POST", "//rest/2.0/nowhere", "unknown"),
        ("GET", "/a\nb", "unknown"),
    ],
)
def test_requests_go_to_the_function_that_the_gateway_would_call(
    here: sam_template.Template, method: str, path: str, function: str
) -> None:
    assert here.function_for(method, path) == function


def test_the_schedules_are_played(here: sam_template.Template) -> None:
    assert {schedule.function for schedule in here.schedules} == {"purge", "jobs"}
    assert all(schedule.interval_ms >= 60_000 for schedule in here.schedules)


def test_every_function_can_be_loaded(here: sam_template.Template) -> None:
    for function in {route.function for route in here.routes} | {one.function for one in here.schedules}:
        assert callable(sam_template.load(function))


def test_a_missing_template_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"template\.yaml is missing"):
        sam_template.read(tmp_path / "template.yaml")


@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        ("GET", "/files/a", "file"),
        ("GET", "/files/a/b\nc", "files"),
        ("GET", "/files/", "files"),
        ("GET", "/filesXa", None),
        ("POST", "/files/a", None),
    ],
)
def test_a_greedy_part_is_the_rest_of_the_path(tmp_path: Path, method: str, path: str, function: str | None) -> None:
    described = "\n".join(
        f"  {name}: {{Type: 'AWS::Serverless::Function', Properties: {{CodeUri: functions/{name}, "
        f"Events: {{Http: {{Type: HttpApi, Properties: {{Method: GET, Path: '{shape}'}}}}}}}}}}"
        for name, shape in (("files", "/files/{rest+}"), ("file", "/files/{id}"))
    )
    (tmp_path / "template.yaml").write_text(f"Resources:\n{described}\n")
    assert sam_template.read(tmp_path / "template.yaml").function_for(method, path) == function
