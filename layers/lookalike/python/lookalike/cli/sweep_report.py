"""The report of a swept folder: a page of HTML without scripts, and thumbnails beside it.

Names of files are the user's and may be anything: they stand in the page as text, and in addresses percent-encoded.
"""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from lookalike.cli.folder_library import Brought, FileFacts
from lookalike.cli.report_page import ReportPage, printable
from lookalike.cli.report_words import Words, counted
from lookalike.domain.duplicates import End, Level, Pair
from lookalike.domain.picture import Picture
from lookalike.service.duplicate_clusters import FoundCluster

#: Longer side of a thumbnail, in pixels.
_SIDE = 480

_STYLE = """
ul.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1rem; list-style: none;
  margin: 0; padding: 0; }
img { height: 20rem; }
.facts, .why { color: color-mix(in srgb, currentColor 75%, transparent); font-size: .875rem; }
"""


@dataclass(frozen=True, slots=True)
class Report:
    """Where the report is written, the folder that it is about, and its words."""

    target: Path
    folder: Path
    words: Words

    def write(self, brought: Brought, found: Sequence[tuple[Level, Sequence[FoundCluster]]]) -> Path:
        """Write the page and its thumbnails, remove thumbnails that it no longer shows, and return the page's path."""
        page = ReportPage(self.target, _SIDE)
        return page.write(
            title=self.words.title.format(folder=_printable(self.folder)),
            summary=self._summary(brought, found),
            body="\n".join(self._sections(brought, found, page)),
            style=_STYLE,
            tag=self.words.tag,
        )

    def _sections(
        self, brought: Brought, found: Sequence[tuple[Level, Sequence[FoundCluster]]], page: ReportPage
    ) -> Iterator[str]:
        """Yield the sections of the levels, and one of the files that could not be read."""
        words = self.words
        for level, new in found:
            title = words.heading.format(title=words.titles[level], n=len(new))
            yield f'<h2 id="{level}">{title}</h2><p>{words.about[level]}</p>'
            for one in new:
                yield self._cluster(one, page)
        if brought.refused:
            title = words.heading.format(title=words.unread_title, n=len(brought.refused))
            rows = (self._refused(name, why) for name, why in brought.refused.items())
            yield f'<h2 id="unread">{title}</h2><ul>{"".join(rows)}</ul>'

    def _refused(self, name: str, why: str) -> str:
        """Return the line of a file that could not be read; the reasons are in English."""
        reason = f'<span lang="en">{html.escape(printable(why))}</span>'
        return f"<li>{self.words.reason.format(name=html.escape(printable(name)), why=reason)}</li>"

    def _summary(self, brought: Brought, found: Iterable[tuple[Level, Sequence[FoundCluster]]]) -> str:
        words = self.words
        links = (f'<a href="#{level}">{counted(words.counts[level], len(one))}</a>' for level, one in found)
        said = [counted(words.pictures, brought.pictures), words.clusters.format(counts=words.between.join(links))]
        if brought.refused:
            said.append(f'<a href="#unread">{counted(words.unread, len(brought.refused))}</a>')
        return " ".join(said)

    def _cluster(self, found: FoundCluster, page: ReportPage) -> str:
        ends = {end.id: end for pair in found.cluster.pairs for end in (pair.older, pair.newer)}
        ids = sorted(found.cluster.ids, key=lambda id_: (-ends[id_].width * ends[id_].height, -ends[id_].bytes, id_))
        pictures = "".join(self._picture(found.rows[id_], ends[id_], page) for id_ in ids)
        why = "".join(f"<li>{self._why(pair, found.rows)}</li>" for pair in found.cluster.pairs[:20])
        return (
            f'<section class="cluster"><ul class="pictures">{pictures}</ul>'
            f'<details class="why"><summary>{self.words.why}</summary><ul>{why}</ul></details></section>'
        )

    def _picture(self, row: Picture, end: End, page: ReportPage) -> str:
        facts = FileFacts.of(row)
        path = self.folder / facts.path
        link = html.escape(_address(path, self.target))
        name = html.escape(_printable(facts.path))
        thumb = page.thumbnail(row.object_key, path.read_bytes)
        picture = f'<img src="{thumb}" alt="{name}" loading="lazy">' if thumb else f"<p>{self.words.not_shown}</p>"
        size = self.words.size.format(w=end.width, h=end.height)
        when = datetime.fromtimestamp(facts.changed / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
        return (
            f'<li><figure><a href="{link}">{picture}</a><figcaption>{name}'
            f'<div class="facts">{size} · {_size(facts.bytes)} · {when} UTC</div>'
            "</figcaption></figure></li>"
        )

    def _why(self, pair: Pair, rows: Mapping[str, Picture]) -> str:
        """Return the two files of a pair, and what they have in common."""
        words = self.words
        a, b = (html.escape(_printable(FileFacts.of(rows[id_]).path)) for id_ in pair.ids)
        said = {
            Level.IDENTICAL: words.identical,
            Level.SAME: words.score.format(score=f"{pair.score:.3f}"),
            Level.SIMILAR: words.cosine.format(cosine=f"{pair.cosine:.2f}"),
        }
        reasons = [said[pair.level]]
        agreement = pair.proof.agreement if pair.proof is not None else None
        if agreement is not None and pair.level is not Level.IDENTICAL:
            reasons.append(words.agreement.format(percent=f"{agreement.share:.0%}"))
        if pair.proof is not None and pair.level is Level.SIMILAR:
            reasons.append(words.differs)
        return words.pair.format(a=a, b=b, reasons=words.between.join(reasons))


def once(found: Iterable[tuple[Level, Sequence[FoundCluster]]]) -> list[tuple[Level, Sequence[FoundCluster]]]:
    """Return the levels with their clusters, without those that a level before has with the same pictures."""
    before: set[tuple[str, ...]] = set()
    kept: list[tuple[Level, Sequence[FoundCluster]]] = []
    for level, clusters in found:
        kept.append((level, [one for one in clusters if one.cluster.ids not in before]))
        before.update(one.cluster.ids for one in clusters)
    return kept


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


def _address(path: Path, base: Path) -> str:
    """Return the relative address of a file."""
    return quote(os.fsencode(os.path.relpath(path, base)))


def _printable(path: Path) -> str:
    return printable(str(path))
