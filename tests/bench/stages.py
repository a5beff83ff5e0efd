"""The stages of a search, measured from outside: functions and ports are wrapped where a search calls them.

What is wrapped is found, not listed: every function that the modules of a search define or import from the service, and
every method of every port. A stage that a later version adds shows under its own name; one that it no longer has
shows zero. Times are the process's processor time, so that threads of a stage count, and other load does not.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from types import FunctionType, ModuleType
from typing import Any
from unittest.mock import patch

from lookalike import ports
from tests.bench.pipeline import Call
from tests.bench.report import Report

#: The modules whose functions are a search; one that is not there has no functions.
SEARCHING = tuple(
    name
    for name in (
        f"lookalike.service.{room}"
        for room in ("search", "examples", "finding", "looking", "looks", "view_matching", "renditions", "reranking")
    )
    if importlib.util.find_spec(name)
)

#: The stages that are known, in the order of a search.
STAGES = (
    "decode",
    "looks",
    "index",
    "rows of what is found",
    "maps",
    "proof by cells",
    "rectified",
    "originals",
    "keypoints",
    "agreement",
)

#: The first look at a query. What follows from another look is one stage, with the look's name.
FIRST_LOOK = "whole"

#: Patterns of paths of calls, and the stage that each is of. The first that matches counts.
PATTERNS: Mapping[str, str] = {
    "*load": "decode",
    "*load_example": "decode",
    "*agree*": "agreement",
    "*overlay*": "agreement",
    "*original*": "originals",
    "*rendition*": "originals",
    "*numbered*": "originals",
    "*keypoint*": "keypoints",
    "*rectified*": "rectified",
    "*Embedder.embed*": "looks",
    "*VectorIndex.*": "index",
    "*MapStore.*": "maps",
    "*Verifier.*": "proof by cells",
    "*current*": "rows of what is found",
    "*Catalog.*": "rows of what is found",
    "*identical*": "rows of what is found",
}

#: Milliseconds from which a call that is of no known stage has a row of its own.
SHOWN = 0.5


#: The name that passes of the model are recorded under.
EMBED = "Embedder.embed"


@dataclass(slots=True)
class _Frame:
    """A call that is open: its name, its path, and the seconds of the calls within it so far."""

    name: str
    path: str
    within: float = 0.0


class Recorder:
    """Processor seconds by path of calls, without what the calls within took, in the thread that made the recorder.

    What other threads do in the meantime is the stage's that waits for them. ``passes`` are the pictures that went
    through the model.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.passes = Counter[str]()
        self._thread = threading.get_ident()
        self._open: list[_Frame] = []

    def wrapping(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, timed under that name."""

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            around = self._open[-1] if self._open else None
            look = next((one.name for one in arguments if type(one).__name__ == "Look"), None)
            # One class that hands a call on to another (a lazy port to the loaded one) is one call.
            if threading.get_ident() != self._thread or (around and around.name == name):
                return function(*arguments, **named)
            step = name if look is None else f"{name}/look:{look}"
            frame = _Frame(name, f"{around.path}/{step}" if around else step)
            if name == EMBED:
                self.passes[frame.path] += len(arguments[1])
            self._open.append(frame)
            began = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                took = time.process_time() - began
                self._open.pop()
                self.seconds[frame.path] += took - frame.within
                if around:
                    around.within += took

        return timed


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record the stages of searches within the block. Let one search run before: lazy imports must be over."""
    recorder = Recorder()
    with ExitStack() as patches:
        for owner, attribute, name in targets():
            function = owner.__dict__[attribute]
            patches.enter_context(patch.object(owner, attribute, recorder.wrapping(name, function)))
        yield recorder


def targets() -> Iterator[tuple[type | ModuleType, str, str]]:
    """Yield what is wrapped: a module or class, an attribute of it, and the name it is recorded under."""
    for name in SEARCHING:
        module = importlib.import_module(name)
        for attribute, member in vars(module).items():
            if isinstance(member, FunctionType) and _ours(member):
                yield module, attribute, attribute
            elif isinstance(member, type) and member.__module__ in SEARCHING:
                yield from ((member, method, method) for method in _methods(member))
    for name in ports.__all__:
        port: object = getattr(ports, name)
        if isinstance(port, type) and getattr(port, "_is_protocol", False):
            methods = set(_methods(port))
            for implementation in _implementations(port):
                yield from (
                    (implementation, method, f"{name}.{method}")
                    for method in _methods(implementation)
                    if method in methods
                )


def _ours(function: FunctionType) -> bool:
    return function.__module__.startswith("lookalike.") and not inspect.isgeneratorfunction(function)


def _methods(owner: type) -> list[str]:
    return [
        name
        for name, member in vars(owner).items()
        if isinstance(member, FunctionType) and not name.startswith("__") and not inspect.isgeneratorfunction(member)
    ]


def _implementations(port: type) -> Iterator[type]:
    implementation: type
    for implementation in port.__subclasses__():
        yield implementation
        yield from _implementations(implementation)


def stage_of(path: str) -> str | None:
    """Return the stage that a path of calls belongs to; None if it is of no known one."""
    look = re.search(r"look:([^/]+)", path)
    if look and look[1] != FIRST_LOOK:
        return f"look at {look[1]}, and all that follows from it"
    return next((stage for pattern, stage in PATTERNS.items() if fnmatch(path, pattern)), None)


def measure(report: Report, sorts: Mapping[str, Sequence[Call]], one_pass: Callable[[], object]) -> None:
    """Report the means of every stage of searches of several sorts, in one thread, each beside a pass of the model."""
    for calls in sorts.values():
        calls[0]()
    for sort, calls in sorts.items():
        with recording() as recorder:
            spent, passed = [], []
            for call in calls:
                passed.append(_processor_ms(one_pass))
                spent.append(_processor_ms(call))
        # The passes that are measured go through the same model, and are of no search.
        recorder.seconds.pop(EMBED, None)
        recorder.passes.pop(EMBED, None)
        _report(report, sort, recorder, spent, sorted(passed)[len(passed) // 2])


def _processor_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


def _report(report: Report, sort: str, recorder: Recorder, spent: Sequence[float], one_pass: float) -> None:
    group = f"Stages of a search, one thread, handler, processor time (floor: a pass of the model): {sort}"
    searches = len(spent)
    took, passes = dict.fromkeys(STAGES, 0.0), dict.fromkeys(STAGES, 0.0)
    for path, seconds in recorder.seconds.items():
        stage, ms = stage_of(path), 1000 * seconds / searches
        if stage is None and ms >= SHOWN:
            stage = path
        if stage is not None:
            took[stage] = took.get(stage, 0.0) + ms
    for path, pictures in recorder.passes.items():
        stage = stage_of(path) or path
        passes[stage] = passes.get(stage, 0.0) + pictures / searches
    whole = sum(spent) / searches
    report.add(group, "search", whole, "ms", floor=one_pass)
    for stage, ms in took.items():
        through = f", {passes[stage]:.1f} passes" if passes.get(stage) else ""
        report.add(group, f"{stage}{through}", ms, "ms", floor=one_pass)
    report.add(
        group, "all else: the wire format, the order of answers", whole - sum(took.values()), "ms", floor=one_pass
    )
    report.add(group, "passes of the model", sum(passes.values()), "")
