"""How far a long piece of work is: a bar on a terminal, a line a stage where a file or a log is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rich import progress
from rich.console import Console

_console = Console(stderr=True)
T = TypeVar("T")
R = TypeVar("R")


def track(over: Iterable[T], about: str, total: int) -> Iterator[T]:
    """The same items; how many of ``total`` have passed is shown on stderr."""
    if _console.is_terminal:
        yield from progress.track(over, about, total=total, console=_console, transient=True)
        return
    if total:
        _console.print(f"{about}: {total}", highlight=False, markup=False, soft_wrap=True)
    yield from over


def side_by_side(about: str, work: Callable[[T], R], over: Sequence[T]) -> list[R]:
    """``work`` on each, on as many threads as there are cores, in order. What is interrupted ends at once."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        return list(track(pool.map(work, over), about, len(over)))
    finally:
        pool.shutdown(cancel_futures=True)
