"""Renders one self-contained HTML page: figures, and the pictures of the worst misses and false alarms."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from html import escape

from PIL import Image

from lookalike.training.picture_files import image
from tests.quality.families import FAMILIES
from tests.quality.measure import SERVICE, Case, Figures, Findings
from tests.quality.report import ASSUMED, percent, worth_of_scores

#: Longer side of a thumbnail, in pixels; twice what is shown, for dense screens.
SIDE = 240

STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --dim: #667085; --line: #e4e7ec; --page: #fbfbfc; --card: #fff;
  --good: #12805c; --bar: #3b6fd8; --bad: #b42318 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaee; --dim: #98a2b3; --line: #2f3540; --page: #14171c;
  --card: #1b1f26; --good: #45c69b; --bar: #7ba4ff; --bad: #ff8d80 } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto; max-width: 1120px;
  padding: 32px 24px 80px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 20px; margin: 48px 0 4px } h3 { font-size: 15px; margin: 28px 0 8px }
p { color: var(--dim); margin: 4px 0 16px; max-width: 75ch }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0 }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; min-width: 170px }
.tile b { display: block; font-size: 24px; font-weight: 600 } .tile span { color: var(--dim); font-size: 13px }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 8px 0 }
th, td { padding: 5px 12px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child, td:first-child { text-align: left; padding-left: 0 } th { font-weight: 500; color: var(--dim) }
tr.ours td { font-weight: 600 }
.bar { display: inline-block; width: 120px; height: 8px; background: var(--line); border-radius: 4px; vertical-align: 1px }
.bar i { display: block; height: 8px; background: var(--bar); border-radius: 4px }
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 12px }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px }
figure div { display: flex; gap: 8px } figure div > span { flex: 1; min-width: 0; font-size: 12px; color: var(--dim) }
figure img { display: block; width: 100%; height: 110px; object-fit: contain; background: var(--page); border-radius: 6px }
figure em { display: grid; place-items: center; height: 110px; font-style: normal; border: 1px dashed var(--line);
  border-radius: 6px }
figcaption { font-size: 13px; margin-top: 8px } .bad { color: var(--bad) } .good { color: var(--good) }
"""


def render(findings: Findings, about: str) -> str:
    """Return the page as HTML. ``about`` names the pictures and the model."""
    parts = [f"<h1>What lookalike finds</h1><p>{escape(about)}</p>"]
    for name, figures in findings.figures.items():
        cases = [case for case in findings.cases if case.task == name]
        parts += _same(figures, cases) if name == "same" else _labelled(name, figures, cases)
    return document("What lookalike finds", parts)


def document(title: str, parts: Sequence[str]) -> str:
    """An HTML document of these parts."""
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{escape(title)}</title>"
    return f"<!doctype html><html lang=en>{head}<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"


def _same(figures: Figures, cases: Sequence[Case]) -> Iterator[str]:
    answers, whole = figures["answers"], figures["methods"][SERVICE]["all"]
    yield "<h2>same</h2>"
    yield (
        f"<p>{figures['queries']} changed copies of {figures['library']} pictures were searched for, and "
        f"{figures['queries_without_match']} copies of pictures that are not in the library.</p>"
    )
    yield _tiles(
        (percent(whole["recall_at_1"]), "R@1: the right picture ranks first"),
        (percent(whole["micro_average_precision"]), "µAP: right pictures, over all queries"),
        (percent(answers["recall"]), "copies answered with their picture"),
        (percent(answers["precision_of_first"]), "first answers that are right"),
        (percent(answers["no_answer_when_nothing_matches"]), "no answer where nothing matches"),
        (f"{figures['milliseconds']:.0f} ms", "a search, median"),
    )
    yield _methods(figures, lambda worth: worth["all"], ("R@1", "R@10", "µAP"))
    yield "<h3>By family</h3>" + _families(figures) + _reliability(figures)
    for title, alarm, says in (
        ("Worst false alarms", True, "Another picture was answered first, with the highest scores."),
        ("Worst misses", False, "The picture is in the library and was not answered first."),
    ):
        yield f"<h2>{title}</h2><p>{says}</p>"
        chosen = [case for case in cases if case.alarm is alarm]
        if not chosen:
            yield "<p class=good>None.</p>"
        for family in FAMILIES:
            of_family = [case for case in chosen if case.family == family]
            if of_family:
                yield f"<h3>{escape(family)}</h3>{pictures_of(of_family)}"


def _labelled(name: str, figures: Figures, cases: Sequence[Case]) -> Iterator[str]:
    yield f"<h2>{escape(name)}</h2>"
    yield f"<p>{figures['queries']} queries, {figures['library']} pictures of {figures['classes']} classes.</p>"
    yield _methods(figures, lambda worth: worth, ("R@1", "R@5", "mAP@R", "mAP@100", "P@10"))
    yield _reliability(figures) + f"<p>{ASSUMED}</p>"
    for title, alarm in (("Wrong first answers, the highest scores", True), ("Right answers that came last", False)):
        chosen = [case for case in cases if case.alarm is alarm]
        if chosen:
            yield f"<h3>{title}</h3>{pictures_of(chosen)}"


def _tiles(*tiles: tuple[str, str]) -> str:
    shown = (f"<div class=tile><b>{value}</b><span>{escape(says)}</span></div>" for value, says in tiles)
    return f"<div class=tiles>{''.join(shown)}</div>"


def _methods(figures: Figures, worth: Callable[[Figures], Figures], columns: Sequence[str]) -> str:
    rows = [(name, *map(percent, worth(of).values())) for name, of in figures["methods"].items()]
    return html_table(("method", *columns), rows, ours=0)


def _families(figures: Figures) -> str:
    methods = list(figures["methods"])
    rows = []
    for family in FAMILIES:
        shares = [figures["methods"][method][family] for method in methods]
        bar = f"<span class=bar><i style='width:{percent(shares[0]['recall_at_1'])}%'></i></span>"
        others = [percent(share["recall_at_1"]) for share in shares[1:]]
        first = [percent(shares[0][key]) for key in ("recall_at_1", "micro_average_precision")]
        rows.append((family, bar, *first, *others))
    return html_table(("family", "", "R@1", "µAP", *(f"{method} R@1" for method in methods[1:])), rows)


def _reliability(figures: Figures) -> str:
    rows = [
        (f"{one['low']:.2f} – {one['high']:.2f}", str(one["count"]), percent(one["claimed"]), percent(one["true"]))
        for one in figures["reliability"]
    ]
    says = f"Scores of first answers, beside how many were right: {worth_of_scores(figures)}"
    return f"<h3>{says}</h3>" + html_table(("score", "answers", "claimed", "true"), rows)


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], ours: int | None = None) -> str:
    """Return a table whose cells are HTML: numbers, names of families and methods, bars."""
    lines = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>"]
    for number, row in enumerate(rows):
        mark = " class=ours" if number == ours else ""
        lines.append(f"<tr{mark}>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>")
    return f"<div class=wide><table>{''.join(lines)}</table></div>"


def pictures_of(cases: Sequence[Case]) -> str:
    """What was searched for, found and wanted in each case, side by side."""
    return f"<div class=cases>{''.join(map(_case, cases))}</div>"


def _case(case: Case) -> str:
    shown = (("searched for", case.query), ("first answer", case.found), ("right", case.wanted))
    pictures = "".join(f"<span>{_picture(file)}{says}</span>" for says, file in shown)
    mark = "bad" if case.alarm else "dim"
    return f"<figure><div>{pictures}</div><figcaption class={mark}>{escape(case.remark)}</figcaption></figure>"


def _picture(file: bytes | None) -> str:
    if file is None:
        return "<em>nothing</em>"
    picture = image(file)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    picture.save(small, "JPEG", quality=75)
    return f"<img alt='' src='data:image/jpeg;base64,{base64.b64encode(small.getvalue()).decode()}'>"
