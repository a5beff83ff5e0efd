"""The budget of pixels in memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.picture import Embedding, Pixels
from lookalike.errors import Busy, NotAPicture
from lookalike.imaging import pixel_budget as budget_module
from lookalike.imaging.decode import Bounds, decode
from lookalike.imaging.pixel_budget import PixelBudget
from lookalike.ports import Embedder, Ports
from lookalike.service import image_source
from tests.support.baidu import Caller, picture
from tests.support.examples import examples
from tests.unit.imaging.pictures.files import PNG_SIGNATURE, chunk, png, png_header

BOUNDS = Bounds(max_bytes=4 << 20, min_side=15, max_side=4096, max_pixels=4096 * 4096, formats=frozenset({"PNG"}))

#: Seconds to wait for events that must happen, and for those that must not.
SOON, A_WHILE = 30, 0.1


@contextmanager
def without_collector() -> Iterator[None]:
    """Disable the collector: shares must return when the last reference goes, not when cycles are collected."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def in_another_thread(budget: PixelBudget, height: int, width: int) -> Iterator[Future[Pixels]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(budget.allocate, height, width)


def waits(future: Future[Pixels]) -> bool:
    try:
        future.result(A_WHILE)
    except NotYet:
        return True
    return False


def test_room_is_there_again_when_the_last_view_is_gone() -> None:
    with without_collector():
        budget = PixelBudget(100)
        view = budget.allocate(10, 6).reshape(6, 10, 3)[1:2]
        with in_another_thread(budget, 10, 5) as second:
            assert waits(second)
            del view
            assert second.result(SOON).shape == (10, 5, 3)


def test_what_fits_does_not_wait() -> None:
    budget = PixelBudget(100)
    held = [budget.allocate(5, 5) for _ in range(4)]
    assert [array.dtype for array in held] == [np.uint8] * 4


def test_a_picture_larger_than_all_room_passes_alone() -> None:
    with without_collector():
        budget = PixelBudget(100)
        large = budget.allocate(20, 20)
        with in_another_thread(budget, 1, 1) as small:
            assert waits(small)
            del large
            small.result(SOON)
        del small
        budget.allocate(30, 30)


def test_small_ones_do_not_overtake_a_large_one() -> None:
    with without_collector():
        budget = PixelBudget(100)
        first = budget.allocate(6, 10)
        with in_another_thread(budget, 10, 10) as large:
            assert waits(large)
            with in_another_thread(budget, 1, 1) as small:  # there would be room for it
                assert waits(small)
                del first
                assert large.result(SOON).shape == (10, 10, 3)
                assert waits(small)
                del large
                small.result(SOON)


def test_small_pictures_have_room_of_their_own() -> None:
    budget = PixelBudget(100, reserve=40, max_small=10)
    large = budget.allocate(10, 10, "a")
    small = [budget.allocate(2, 5, "a") for _ in range(3)]
    with in_another_thread(budget, 10, 10) as second:
        assert waits(second)
        small.append(budget.allocate(2, 5, "b"))  # what the one tenant may not have of it is there for another
        del large
        second.result(SOON)


def test_a_tenant_leaves_room_for_others() -> None:
    with without_collector(), ThreadPoolExecutor(1) as pool:
        budget = PixelBudget(100, max_per_tenant=75)
        first = budget.allocate(5, 10, "a")
        second = pool.submit(budget.allocate, 5, 6, "a")
        assert waits(second)
        assert budget.allocate(5, 10, "b").shape == (5, 10, 3)
        del first
        second.result(SOON)


def test_who_waits_for_room_may_give_up() -> None:
    def check() -> None:
        raise Busy("enough")

    budget = PixelBudget(100)
    held = budget.allocate(10, 10)
    with pytest.raises(Busy):
        budget.allocate(1, 1, "b", check)
    del held
    budget.allocate(10, 10)


def test_room_that_a_cycle_keeps_is_found_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "_COLLECT_AFTER_SECONDS", 0.05)
    with without_collector():
        budget = PixelBudget(100)
        cycle: list[object] = [budget.allocate(10, 10)]
        cycle.append(cycle)
        del cycle
        with in_another_thread(budget, 10, 10) as second:
            assert second.result(SOON).shape == (10, 10, 3)


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=40))
@settings(max_examples=examples(30))
def test_threads_never_hold_more_than_there_is(sizes: list[tuple[int, int]]) -> None:
    budget, lock, held, most = PixelBudget(100), threading.Lock(), 0, 0

    def work(size: tuple[int, int]) -> None:
        nonlocal held, most
        pixels = budget.allocate(*size)
        share = min(size[0] * size[1], 100)
        with lock:
            held += share
            most = max(most, held)
        with lock:
            held -= share
        del pixels

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sizes, timeout=SOON))
    assert most <= 100


def test_room_comes_back_after_an_error_while_decoding() -> None:
    """Three times a picture whose pixels are garbage, and then a sound one, where there is room for one."""
    sound = png([bytes(20 * 3)] * 20, 20, 8, 2)
    garbage = PNG_SIGNATURE + png_header(20, 20) + chunk(b"IDAT", b"garbage" * 9) + chunk(b"IEND")
    budget = PixelBudget(20 * 20)
    taken: list[tuple[int, int]] = []

    def allocate(height: int, width: int) -> Pixels:
        taken.append((height, width))
        return budget.allocate(height, width)

    def decode_all() -> tuple[int, ...]:
        for _ in range(3):
            with pytest.raises(NotAPicture):
                decode(garbage, BOUNDS, allocate)
        return decode(sound, BOUNDS, allocate).pixels.shape

    with without_collector(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(decode_all).result(SOON) == (20, 20, 3)
    assert taken == [(20, 20)] * 4


class Crowd:
    """An embedder that records its maximum concurrency."""

    def __init__(self, embedder: Embedder) -> None:
        self.embed = embedder.embed
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def __call__(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        return self.embed(pictures)


def test_a_picture_counts_until_it_is_embedded_and_no_call_keeps_its_room(
    memory: Ports, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of every kind, good and refused, side by side, where there is room for one picture."""
    monkeypatch.setattr(image_source, "_BUDGET", PixelBudget(32 * 24))
    crowd = Crowd(memory.embedder)
    monkeypatch.setattr(memory.embedder, "embed", crowd)

    def calls(seed: int) -> list[int | None]:
        file, fields = picture(seed), {"brief": "b"}
        answers = [
            alice.call("same_hq", "add", image=file, **fields),
            alice.call("same_hq", "add", image=file, **fields),
            alice.call("same_hq", "search", image=file),
            alice.call("same_hq", "update", image=file, **fields),
            alice.call("same_hq", "delete", image=file),
            alice.call("same_hq", "delete", image=file),
        ]
        return [answer.get("error_code") for answer in answers]

    with without_collector(), ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(calls, range(8), timeout=SOON))
    assert outcomes == [[None, 216681, None, None, None, outcomes[0][5]]] * 8
    assert outcomes[0][5] is not None
    assert crowd.most == 1


_CHILD = """
import sys
from pathlib import Path
from lookalike.imaging.decode import Bounds, decode

bounds = Bounds(4 << 20, 15, 4096, 4096 * 4096, frozenset({"PNG"}))
small, large = (Path(name).read_bytes() for name in sys.argv[1:])

def peak():  # kilobytes, of this program alone
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

decode(small, bounds)
before = peak()
decode(large, bounds)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from Linux's /proc")
def test_a_translucent_picture_is_in_memory_once_as_it_was_and_once_as_it_becomes(tmp_path: Path) -> None:
    files = []
    for side in (64, 3000):
        Image.new("RGBA", (side, side), (10, 20, 30, 40)).save(tmp_path / f"{side}.png")
        files.append(str(tmp_path / f"{side}.png"))
    child = subprocess.run([sys.executable, "-c", _CHILD, *files], check=True, capture_output=True, text=True)
    assert int(child.stdout) * 1024 < 3000 * 3000 * (4 + 3) + (8 << 20)
