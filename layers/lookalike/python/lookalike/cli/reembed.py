"""``lookalike reembed``: changes the model that pictures are searched with, and back. Works while the server runs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lookalike import bootstrap
from lookalike.cli.reembed_report import write_report
from lookalike.cli.screen import note
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.domain.model_change import DEFAULT_RATE, Phase
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.kept_models import model_files, ref_of
from lookalike.embedding.model_path import CARD, CODEBOOKS
from lookalike.errors import InvalidArgument, ModelError, Unavailable
from lookalike.server.control import ask_server
from lookalike.server.model_changes import ModelChanges
from lookalike.service.model_comparison import Comparison
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.model_folder import ModelFolder

if TYPE_CHECKING:
    from lookalike.ports import ModelFiles

#: Seconds between two looks at a fill.
_POLL_SECONDS = 0.5

#: Seconds between two lines about a fill, where no terminal is.
_LINE_SECONDS = 10.0

#: Pairs of answers that a report shows.
_SHOWN = 200

#: Exit status where a fill has stopped, and will be tried again.
UNFINISHED = 4

#: Does a step, and returns the state.
_Ask = Callable[[Mapping[str, Any]], dict[str, Any]]

ModelOption = Annotated[
    Path | None, typer.Option(help="The other model: its ONNX file, with its card beside it.", show_default=False)
]
RateOption = Annotated[float, typer.Option(min=0.01, max=10_000, help="Pictures embedded a second, at most.")]
CompareOption = Annotated[
    int | None, typer.Option(min=1, max=10_000, help="Compare the first answers of both models to so many pictures.")
]
ReportOption = Annotated[
    Path | None, typer.Option(help="With --compare: a folder for a page that shows them.", show_default=False)
]
SwitchOption = Annotated[bool, typer.Option("--switch", help="Let searches use the other model.")]
LeaveOption = Annotated[
    bool, typer.Option("--leave-lost", help="With --switch: leave pictures behind whose originals are lost.")
]
BackOption = Annotated[bool, typer.Option("--back", help="Let searches use the model before again.")]
DropOption = Annotated[bool, typer.Option("--drop", help="Remove the model that searches do not use.")]

app = typer.Typer()


@app.command()
def reembed(
    model: ModelOption = None,
    rate: RateOption = DEFAULT_RATE,
    compare: CompareOption = None,
    report: ReportOption = None,
    switch: SwitchOption = False,
    leave_lost: LeaveOption = False,
    back: BackOption = False,
    drop: DropOption = False,
    data: DataOption = None,
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Change the model that pictures are searched with, without a pause, and back.

    With --model, all pictures are embedded from their originals, in the background; searches go on with the present model.
    Then --compare, --switch, --back and --drop. Without any of these, a fill goes on that was interrupted, or the state is
    said. Exit status 4: the fill has stopped; it goes on when the command is run again.
    """
    steps = {"--switch": switch, "--back": back, "--drop": drop}
    _check(
        {"--model": model is not None, "--compare": compare is not None, **steps},
        {"--leave-lost": (leave_lost, "--switch"), "--report": (report is not None, "--compare")},
    )
    settings = settings_for(data, stack)
    say = _nothing if as_json else typer.echo
    with _changes(settings) as ask:
        if compare is not None:
            state = _compare(settings, ask, compare, report, say)
        elif step := next((name for name, given in steps.items() if given), None):
            state = ask({"step": step.removeprefix("--"), "leave_lost": leave_lost})
            say(_sentence(state))
        else:
            state = _fill(settings, ask, model, rate, say)
    if as_json:
        typer.echo(json.dumps(state))


def _check(steps: Mapping[str, bool], going_with: Mapping[str, tuple[bool, str]]) -> None:
    """Raise InvalidArgument for several steps, or for an option without the step that it goes with."""
    given = [name for name, said in steps.items() if said]
    if len(given) > 1:
        raise InvalidArgument(given[1], f"goes without {given[0]}")
    for option, (said, step) in going_with.items():
        if said and step not in given:
            raise InvalidArgument(option, f"goes with {step}")


def _nothing(_said: str) -> None:
    """Say nothing: what is printed is JSON."""


@contextmanager
def _changes(settings: Settings) -> Iterator[_Ask]:
    """Yield who does the steps: the server that runs on the data folder, or this process."""
    with _telling() as tell:
        if settings.data is not None:
            control = DataFolder.existing(settings.data).control
            if _asked(control, {"step": "status"}, tell) is not None:
                yield lambda step: _answer(_asked(control, step, tell))
                return
        quiet = replace(settings, log_level="WARNING")
        with closing(bootstrap.build(quiet)) as ports, closing(ModelChanges(ports)) as changes:
            yield lambda step: _answer(changes.command(ports, step, tell))


def _asked(control: Path, step: Mapping[str, Any], tell: Callable[[str], None]) -> str | None:
    return ask_server(control, "reembed", step, tell)


def _answer(said: str | None) -> dict[str, Any]:
    """Return what was answered. Raises Unavailable if the server is gone."""
    if said is None:
        raise Unavailable("the server has ended; what was done stays, and goes on with the next start")
    return dict(json.loads(said))


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show what is being done, where a terminal is."""
    if not sys.stderr.isatty():
        yield _nothing
        return
    with Console(stderr=True).status("Working") as status:
        yield lambda doing: status.update(f"Working: {doing}")


def _fill(settings: Settings, ask: _Ask, model: Path | None, rate: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Begin a fill, or go on with one, and watch it until it is done; else return the state."""
    if model is not None:
        state = ask({"step": "begin", "model": _kept(settings, model), "rate": rate})
    else:
        state = ask({"step": "status"})
        models = state["models"]
        if models is not None and models["phase"] == Phase.FILLING and state["filling"] is None:
            state = ask({"step": "begin", "model": models["other"], "rate": models["rate"]})
    shown = _Shown()
    while state["models"] is not None and state["models"]["phase"] == Phase.FILLING:
        if state["problem"]:
            note(f"the fill has stopped: {state['problem']}")
            raise typer.Exit(UNFINISHED)
        shown(state)
        time.sleep(_POLL_SECONDS)
        state = _polled(ask)
    shown.end()
    say(_sentence(state))
    return state


def _polled(ask: _Ask) -> dict[str, Any]:
    """Return the state, once the server has ended what else it was asked for."""
    while True:
        try:
            return ask({"step": "status"})
        except Unavailable as error:
            if "something else" not in str(error):
                raise
            time.sleep(_POLL_SECONDS)


def _kept(settings: Settings, model: Path) -> dict[str, str]:
    """Keep a model's files where the pictures are; return what names it. Raises ModelError for a model that cannot be used."""
    if not model.is_file():
        raise ModelError(f"{model}: there is no such file")
    if missing := [name for name in (CARD, CODEBOOKS) if not model.with_name(name).is_file()]:
        raise ModelError(f"{model}: {missing[0]} is not beside it, as `make model` and `lookalike model fit` write it")
    OnnxEmbedder(model)  # refuses what is broken, of another dimension, or not what its card says
    files = model_files(model)
    ref = ref_of(files[CARD])
    _files_of(settings).keep(ref.card, files)
    return {"name": ref.name, "card": ref.card, "graph": ref.graph}


def _files_of(settings: Settings) -> ModelFiles:
    if settings.data is not None:
        return ModelFolder(DataFolder.existing(settings.data).models)
    from lookalike.stores.aws.account import Account  # noqa: PLC0415 - not everybody has its packages

    return Account(settings).model_files


class _Shown:
    """Shows how far a fill is: on a terminal in one line, elsewhere in a line now and then."""

    def __init__(self) -> None:
        self._last = 0.0
        self._open = False

    def __call__(self, state: Mapping[str, Any]) -> None:
        """Show a state."""
        progress = state["filling"]
        if not progress or not progress["total"]:
            return
        line = _progress_line(state["models"]["other"]["name"], progress)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}\x1b[K")
            self._open = True
        elif time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """End the line."""
        if self._open:
            sys.stderr.write("\n")


def _progress_line(name: str, progress: Mapping[str, Any]) -> str:
    done, total, embedded, seconds = (progress[one] for one in ("done", "total", "embedded", "seconds"))
    rate = embedded / seconds if seconds else 0.0
    left = f", {_duration((total - done) / rate)} left" if rate and total > done else ""
    return f"{name}: {done:,} of {total:,} pictures, {rate:.1f} a second{left}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "a minute"


def _sentence(state: Mapping[str, Any]) -> str:
    """Say which models are in use."""
    models = state["models"]
    if models is None:
        return "Searches use the model that the settings name, and there is no other."
    live, other = models["live"]["name"], models["other"]
    if other is None:
        return f"Searches use {live}, and there is no other model."
    lost = (
        f" Pictures without a readable original: {models['lost']:,}{_such_as(models['examples'])}."
        if models["lost"]
        else ""
    )
    said = {
        Phase.FILLING: "is being filled",
        Phase.FILLED: "is filled: --compare 100 shows what would change, --switch lets searches use it",
        Phase.RETIRED: "was live before, and may be so again: --back",
        Phase.DROPPING: "is being removed; --drop goes on with it",
    }
    return f"Searches use {live}; {other['name']} {said[Phase(models['phase'])]}.{lost}"


def _such_as(names: Sequence[str]) -> str:
    """Name the first, if any are known by name."""
    return f", such as {names[0]}" if names else ""


def _compare(
    settings: Settings, ask: _Ask, count: int, report: Path | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Compare first answers; return the figures."""
    told = ask({"step": "compare", "count": count, "shown": _SHOWN if report is not None else 0})
    compared = Comparison.of_plain(told)
    say(
        f"Of {compared.compared} pictures, {compared.changed} have another first answer with {compared.other} than with "
        f"{compared.live}. Itself is the first answer of {compared.itself_other} (before: {compared.itself_live}). "
        f"{compared.overlap:.0%} of ten answers are the same. A search takes {compared.other_ms:.0f} ms (before: "
        f"{compared.live_ms:.0f})."
    )
    if report is not None:
        with bootstrap.stored(settings) as (_, originals, _):
            page = write_report(report, compared, originals)
        say(f"report: {page}")
    return {name: value for name, value in told.items() if name != "pairs"}
