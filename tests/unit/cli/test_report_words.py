"""The report's words: the console's where it says the same, and the reader's language."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from lookalike.cli.report_words import WORDS, Language, Words, counted, preferred_language
from lookalike.domain.duplicates import Level
from tests.support import console_words


@pytest.mark.parametrize("language", Language)
def test_the_report_says_what_the_console_says(language: Language) -> None:
    said, words = console_words.words(language), WORDS[language]
    assert {level: said[f"dup.level.{level}"] for level in Level} == words.titles
    assert {level: said[f"dup.about.{level}"] for level in Level} == words.about
    assert (said["dup.why"], said["dup.differs"]) == (words.why, words.differs)
    assert said["proof.agreement"] == words.agreement


def placeholders(words: object) -> list[str]:
    text = " ".join(map(str, words.values())) if isinstance(words, dict) else str(words).split("|")[-1]
    return sorted(re.findall(r"\{\w+\}", text))


@pytest.mark.parametrize("name", [field.name for field in fields(Words)])
def test_every_language_says_the_same(name: str) -> None:
    english, chinese = (getattr(WORDS[language], name) for language in Language)
    assert placeholders(english) == placeholders(chinese)


def test_one_is_not_said_as_many() -> None:
    words = WORDS[Language.ENGLISH].unread
    assert counted(words, 1) == "One file could not be read."
    assert counted(words, 0) == "0 files could not be read."
    assert counted(WORDS[Language.CHINESE].unread, 1) == "1 个文件无法读取。"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "", "LC_ALL": ""}, "zh"),
        ({"LANG": "fr_FR.UTF-8", "LANGUAGE": "fr:zh:en"}, "zh"),
        ({"LANG": "C", "LANGUAGE": "zh"}, "en"),
        ({"LANG": "C", "LC_ALL": "zh_CN"}, "zh"),
    ],
)
def test_the_locale_chooses(environment: dict[str, str], language: str) -> None:
    assert preferred_language(environment) == language
