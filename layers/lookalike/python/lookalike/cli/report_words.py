"""The words of a swept folder's report, in the languages of the console and, where it says the same, in its words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lookalike.domain.duplicates import Level


class Language(StrEnum):
    """A language of the report."""

    ENGLISH = "en"
    CHINESE = "zh"


def preferred_language(environment: Mapping[str, str] = os.environ) -> Language:
    """Return the first of the reader's languages that there is, as the console asks the browser; else English.

    Reads the variables of the locale in gettext's order. LANGUAGE counts only where a locale is set.
    """
    locale = next((said for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (said := environment.get(name))), "")
    if locale.partition(".")[0] in ("", "C", "POSIX"):
        return Language.ENGLISH
    tags = [*environment.get("LANGUAGE", "").split(":"), locale]
    return next((one for tag in tags for one in Language if tag[:2].lower() == one), Language.ENGLISH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the report says. Of words with ``|`` the first are for one, the last for any other ``n``."""

    tag: str
    title: str
    pictures: str
    clusters: str
    counts: Mapping[Level, str]
    between: str
    titles: Mapping[Level, str]
    about: Mapping[Level, str]
    heading: str
    unread: str
    unread_title: str
    reason: str
    not_shown: str
    size: str
    why: str
    pair: str
    identical: str
    score: str
    cosine: str
    agreement: str
    differs: str


def counted(words: str, n: int) -> str:
    """Return the words for this many."""
    forms = words.split("|")
    return (forms[0] if n == 1 else forms[-1]).format(n=n)


WORDS: Mapping[Language, Words] = {
    Language.ENGLISH: Words(
        tag="en",
        title="Near-duplicates in {folder}",
        pictures="{n} picture.|{n} pictures.",
        clusters="Clusters: {counts}; one that a further level only repeats is counted once.",
        counts={Level.IDENTICAL: "{n} identical", Level.SAME: "{n} same", Level.SIMILAR: "{n} similar"},
        between=", ",
        titles={Level.IDENTICAL: "Identical", Level.SAME: "Same picture", Level.SIMILAR: "Similar"},
        about={
            Level.IDENTICAL: "The same pixels, whatever the files are called.",
            Level.SAME: "Other sizes, crops and qualities of one picture: proved, and nothing disagrees.",
            Level.SIMILAR: "Near by content, or one picture with something changed. Look before you delete.",
        },
        heading="{title} ({n})",
        unread="One file could not be read.|{n} files could not be read.",
        unread_title="Files that could not be read",
        reason="{name}: {why}",
        not_shown="(cannot be shown)",
        size="{w} × {h} pixels",
        why="Why",
        pair="{a} and {b}: {reasons}",
        identical="the same pixels",
        score="score {score}",
        cosine="cosine {cosine}",
        agreement="{percent} of what could be compared agrees",
        differs="something differs",
    ),
    Language.CHINESE: Words(
        tag="zh-CN",
        title="{folder} 中的近似重复",
        pictures="共 {n} 张图片。",
        clusters="分组：{counts}；后一级别仅重复前一级别的组，只计一次。",
        counts={Level.IDENTICAL: "完全相同 {n} 组", Level.SAME: "同一图片 {n} 组", Level.SIMILAR: "相似 {n} 组"},
        between="，",
        titles={Level.IDENTICAL: "完全相同", Level.SAME: "同一图片", Level.SIMILAR: "相似"},
        about={
            Level.IDENTICAL: "像素完全相同，与文件名无关。",
            Level.SAME: "同一图片的其他尺寸、裁剪或画质：已验证，且无差异。",
            Level.SIMILAR: "内容相近，或同一图片有改动。删除前请查看。",
        },
        heading="{title}（{n}）",
        unread="{n} 个文件无法读取。",
        unread_title="无法读取的文件",
        reason="{name}：{why}",
        not_shown="（无法显示）",
        size="{w} × {h} 像素",
        why="依据",
        pair="{a} 与 {b}：{reasons}",
        identical="像素完全相同",
        score="得分 {score}",
        cosine="余弦 {cosine}",
        agreement="可比部分 {percent} 一致",
        differs="有差异",
    ),
}
