"""Settings: from the environment alone, all problems at once, every one of them documented."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from lookalike.errors import SettingsError
from lookalike.settings import Settings

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_without_an_environment_every_setting_has_its_default() -> None:
    assert Settings.from_environment({}) == Settings()


def test_values_are_read_and_what_is_given_wins() -> None:
    environment = {
        "LOOKALIKE_DATA": "/a",
        "LOOKALIKE_BRIEF_REQUIRED": "no",
        "LOOKALIKE_PUBLIC_HOSTS": "a.example, b.example",
        "LOOKALIKE_FETCH_ALLOW": "10.0.0.0/8,fd00::/8",
        "LOOKALIKE_LOG_LEVEL": "debug",
    }
    settings = Settings.from_environment(environment, data=Path("/b"))
    assert settings.data == Path("/b")
    assert settings.brief_required is False
    assert settings.public_hosts == ("a.example", "b.example")
    assert [str(network) for network in settings.fetch_allow] == ["10.0.0.0/8", "fd00::/8"]
    assert settings.log_level == "DEBUG"


def test_an_empty_variable_counts_as_absent() -> None:
    assert Settings.from_environment({"LOOKALIKE_MIN_SIDE": ""}) == Settings()


def test_all_problems_are_named_at_once() -> None:
    wrong = {
        "LOOKALIKE_MIN_SIDE": "0",
        "LOOKALIKE_METRICS": "maybe",
        "LOOKALIKE_FETCH_ALLOW": "300.0.0.0/8",
        "LOOKALIKE_LOG_LEVEL": "loud",
        "LOOKALIKE_MIN_SIZE": "15",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(wrong)
    assert all(name in str(caught.value) for name in wrong)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LOOKALIKE_FETCH_SECONDS", "inf"),
        ("LOOKALIKE_FETCH_SECONDS", "nan"),
        ("LOOKALIKE_FETCH_SECONDS", "0"),
        ("LOOKALIKE_PURGE_AFTER_DAYS", "1e300"),
        ("LOOKALIKE_PURGE_AFTER_DAYS", "-1"),
        ("LOOKALIKE_MIN_SIDE", "5000"),
        ("LOOKALIKE_MIN_SIDE", "x"),
        ("LOOKALIKE_MODEL_THREADS", "1.5"),
    ],
)
def test_numbers_that_could_only_fail_later_are_refused_in_plain_words(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"{variable}={text}: must be a (whole )?number from .* to .*"):
        Settings.from_environment({variable: text})


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_is_in_the_readme(setting: object) -> None:
    assert f"`{setting.metadata['variable']}`" in README  # type: ignore[attr-defined]
