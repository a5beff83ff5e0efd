"""Settings: from the environment alone, all problems at once. tests/unit/docs looks at their page."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.errors import SettingsError
from lookalike.settings import Settings


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


def test_which_proxies_are_believed() -> None:
    assert [str(one) for one in Settings().proxies] == ["127.0.0.1/32", "::1/128"]
    assert Settings.from_environment({"LOOKALIKE_PROXIES": "none"}).proxies == ()
    told = Settings.from_environment({"LOOKALIKE_PROXIES": "10.0.0.0/8, 2001:db8::1"})
    assert [str(one) for one in told.proxies] == ["10.0.0.0/8", "2001:db8::1/128"]
    for wrong in ("*", "proxy", "10.0.0.1/8"):
        with pytest.raises(SettingsError, match="LOOKALIKE_PROXIES"):
            Settings.from_environment({"LOOKALIKE_PROXIES": wrong})


AWS = {
    "LOOKALIKE_TABLE": "table",
    "LOOKALIKE_BUCKET": "bucket",
    "LOOKALIKE_OPENSEARCH": "https://search.example",
    "LOOKALIKE_KEY": "key",
}


def test_the_stores_are_those_of_aws_if_all_of_them_are_named() -> None:
    assert Settings.from_environment(AWS).on_aws
    assert not Settings.from_environment({"LOOKALIKE_DATA": "/a"}).on_aws
    assert not Settings.from_environment({}).on_aws


@pytest.mark.parametrize("missing", AWS)
def test_half_a_set_of_stores_is_refused_with_what_is_missing(missing: str) -> None:
    given = {name: value for name, value in AWS.items() if name != missing}
    with pytest.raises(SettingsError, match=f"{', '.join(given)} without {missing}"):
        Settings.from_environment(given)


def test_two_sets_of_stores_are_refused() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(AWS, data=Path("/a"))
    assert all(name in str(caught.value) for name in ("LOOKALIKE_DATA", *AWS))
    assert Settings.from_environment({**AWS, "LOOKALIKE_DATA": "/a"}, data=None).on_aws


@pytest.mark.parametrize("text", ["search.example", "ftp://search.example", "https://", "https://search.example/path"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="LOOKALIKE_OPENSEARCH"):
        Settings.from_environment({**AWS, "LOOKALIKE_OPENSEARCH": text})


def test_segments_need_no_domain_and_say_up_to_how_many_pictures_they_are_meant() -> None:
    named = {"LOOKALIKE_TABLE": "t", "LOOKALIKE_BUCKET": "b", "LOOKALIKE_KEY": "k"}
    with pytest.raises(SettingsError, match="without LOOKALIKE_OPENSEARCH"):
        Settings.from_environment(named)
    settings = Settings.from_environment({**named, "LOOKALIKE_VECTOR_STORE": "Segments"})
    assert (settings.vector_store, settings.opensearch, settings.index_capacity) == ("segments", None, 300_000)
    assert Settings.from_environment({**named, "LOOKALIKE_OPENSEARCH": "https://a.example"}).index_capacity is None
    with pytest.raises(SettingsError, match="must be opensearch or segments"):
        Settings.from_environment({"LOOKALIKE_VECTOR_STORE": "faiss"})
