"""Shows the progress of long work: a bar on a terminal, a line a stage in a file or log."""

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
    """Yield the items of ``over``, and show on stderr how many of ``total`` have passed."""
    if _console.is_terminal:
        yield from progress.track(over, about, total=total, console=_console, transient=True)
        return
    if total:
        _console.print(f"{about}: {total}", highlight=False, markup=False, soft_wrap=True)
    yield from over


def parallel_map(about: str, work: Callable[[T], R], over: Sequence[T]) -> list[R]:
    """Return ``work`` of each item, in order, computed by a thread a core. Stops at once on an interrupt."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        return list(track(pool.map(work, over), about, len(over)))
    finally:
        pool.shutdown(cancel_futures=True)
