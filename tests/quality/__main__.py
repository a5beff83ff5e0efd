"""``make quality``: measures what searches find, in figures and pictures, beside simpler methods.

    python -m tests.quality [--pictures DIR] [--quick] [--json FILE] [--page FILE] [--anchors DIR]
    python -m tests.quality --kinds [--quick | --sample] [--emoji] [--pictures DIR]

With --kinds: false alarms in libraries of one kind, and hard copies, as tests/quality/kinds.py says.
Without --pictures: parts of the photographs that packages ship. A folder is read as tests/quality/sets.py says.
LOOKALIKE_MODEL names the model that is measured, if it is not the one that comes along.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

import lookalike
from lookalike.embedding.model_path import find_model
from lookalike.errors import LookalikeError
from lookalike.settings import Settings
from tests.quality import emoji, gate, kinds, kinds_gate, kinds_report, measure, page, report, sets
from tests.quality.measure import Findings
from tests.quality.methods import Remembered, baselines, service
from tests.quality.sets import PictureSet

#: Changed copies of each family.
PER_FAMILY = 50
QUICK_PER_FAMILY = 8

#: The seed of the copies that the stored figures were measured with.
SEED = 2026

#: Width of tables, in columns, where no terminal gives one.
WIDTH = 140

#: Name of the photographs in packages; a digest of their files would differ with the compressor that wrote them.
PACKAGED = "packaged photographs"


def run(pictures: PictureSet, others: Sequence[Remembered], *, per_family: int, seed: int = SEED) -> Findings:
    """Measure every task of a picture set."""
    findings = Findings()
    with service() as running:
        measure.same(findings, running, others, pictures.copies, measure.queries(pictures.copies, per_family, seed))
        for task in pictures.labelled:
            measure.labelled(findings, running, others, task)
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 if --gate finds lower figures, or if there is nothing to measure with, else 0."""
    chosen = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    model = find_model(Settings.from_environment().model)
    for path in (chosen.json, chosen.page):
        path.parent.mkdir(parents=True, exist_ok=True)
    if chosen.kinds:
        return _kinds(chosen, console, model)
    with tempfile.TemporaryDirectory() as folder:
        try:
            source, others = chosen.pictures or sets.packaged(Path(folder)), baselines(chosen.anchors)
            pictures = sets.read(source, sets.learnt_by(model), others, quick=chosen.quick, crowd=chosen.crowd)
        except sets.SetError as error:
            print(f"quality: {error}", file=sys.stderr)
            return 1
        per_family = chosen.per_family or (QUICK_PER_FAMILY if chosen.quick else PER_FAMILY)
        findings = run(pictures, others, per_family=per_family, seed=chosen.seed)
        name = pictures.fingerprint() if chosen.pictures else PACKAGED
    name += ", quick" if chosen.quick else ""
    about = f"{chosen.pictures.resolve().name if chosen.pictures else PACKAGED}, model {_name(model)}"
    about = "; ".join([about, *pictures.left_out(source)])
    report.show(console, findings.figures)
    console.print(about, highlight=False, markup=False, soft_wrap=True)
    content = {"version": lookalike.__version__, "about": about, "seed": chosen.seed, "tasks": findings.figures}
    chosen.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    chosen.page.write_text(page.render(findings, about), encoding="utf-8")
    places = f"Figures: {chosen.json}   Worst misses and false alarms: {chosen.page}"
    console.print(places, highlight=False, markup=False, soft_wrap=True)
    if chosen.store:
        gate.store(findings.figures, name, about)
    return _gate(console, gate.shortfalls, findings, name) if chosen.gate else 0


def _kinds(chosen: argparse.Namespace, console: Console, model: Path) -> int:
    """``--kinds``: tables on the terminal, figures and pictures in files."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = chosen.pictures or sets.packaged(Path(folder))
            pictures = sets.read(source, sets.learnt_by(model), quick=chosen.quick, crowd=chosen.crowd)
            drawn = emoji.categories(chosen.json.parent) if chosen.emoji else {}
        except sets.SetError as error:
            print(f"quality: {error}", file=sys.stderr)
            return 1
        name = pictures.fingerprint() if chosen.pictures else PACKAGED
        size = kinds.QUICK if chosen.quick else kinds.SAMPLE if chosen.sample else kinds.FULL
        findings = kinds.run(pictures.copies, drawn, size=size, seed=chosen.seed)
    shown = chosen.pictures.resolve().name if chosen.pictures else PACKAGED
    about = f"drawings; {shown}, model {_name(model)}; seed {chosen.seed}" + (f"; {emoji.CREDIT}" if drawn else "")
    kinds_report.show(console, findings.figures)
    console.print(about, highlight=False, markup=False, soft_wrap=True)
    content = {"version": lookalike.__version__, "about": about, "seed": chosen.seed, "tasks": findings.figures}
    chosen.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    chosen.page.write_text(kinds_report.render(findings, about), encoding="utf-8")
    places = f"Figures: {chosen.json}   False alarms and misses: {chosen.page}"
    console.print(places, highlight=False, markup=False, soft_wrap=True)
    name = ", ".join((name, "kinds", *(flag for flag in ("emoji", "quick", "sample") if getattr(chosen, flag))))
    if chosen.store:
        kinds_gate.store(findings.figures, name, about)
    return _gate(console, kinds_gate.shortfalls, findings, name) if chosen.gate else 0


def _gate(
    console: Console, shortfalls: Callable[[measure.Figures, str], list[str]], findings: Findings, name: str
) -> int:
    try:
        fallen = shortfalls(findings.figures, name)
    except KeyError:
        console.print(f"No figures are stored for these pictures ({name}): --store keeps these")
        return 0
    for line in fallen:
        console.print(f"quality has fallen: {line}", style="red", soft_wrap=True)
    return 1 if fallen else 0


def _name(model: Path) -> str:
    name: str = json.loads((model.parent / "card.json").read_text())["name"]
    return name


def _folder(name: str) -> Path:
    if not Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"{name}: there is no such folder")
    return Path(name)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    parser.add_argument("--pictures", type=Path, help="folder of pictures; default: those that packages ship")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a small part of them, in about a minute")
    size.add_argument("--sample", action="store_true", help="with --kinds: fewer searches, in some minutes")
    parser.add_argument("--kinds", action="store_true", help="libraries of one kind, and hard copies, instead")
    parser.add_argument("--emoji", action="store_true", help="with --kinds: emoji, too, which are downloaded")
    parser.add_argument("--json", type=Path, default=Path("build/quality.json"), help="where the figures go")
    parser.add_argument("--page", type=Path, default=Path("build/quality.html"), help="where the page goes")
    parser.add_argument("--anchors", type=_folder, help="folder of ONNX networks to compare with")
    parser.add_argument("--crowd", type=_folder, help="folder of further pictures that fill the library of same")
    parser.add_argument("--per-family", type=_count, help=f"copies of each family; default {PER_FAMILY}")
    parser.add_argument("--seed", type=int, default=SEED, help="other seeds draw other copies")
    parser.add_argument("--gate", action="store_true", help="fail if figures fall below those stored")
    parser.add_argument("--store", action="store_true", help="store these figures as those to reach")
    return parser


def command() -> int:
    """Run :func:`main`; report errors and Ctrl-C in one line."""
    try:
        return main()
    except LookalikeError as error:
        print(f"quality: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"quality: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("quality: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(command())
