"""A mixed load of Baidu's calls, and what was acknowledged of it: for tests in which something ends or goes away."""

from __future__ import annotations

import base64
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.support import photographs

#: Answers a call of an operation of one library: its name, and the form's fields.
Call = Callable[..., dict[str, Any]]

#: What of all calls are adds, updates, deletes; the others are searches.
_ADDS, _UPDATES, _DELETES = 0.4, 0.2, 0.15

#: In what an update says of a picture.
_AS_OF = " as of "

#: The vendor's "Service temporarily unavailable".
_UNAVAILABLE = 2


def picture(number: int) -> bytes:
    """Return a small picture of coloured squares, different for each number."""
    squares = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    return photographs.png(Image.fromarray(squares).resize((32, 32), Image.Resampling.NEAREST))


def image(number: int) -> str:
    """Return that picture as a form's field."""
    return base64.b64encode(picture(number)).decode()


@dataclass
class Ledger:
    """Acknowledged outcomes. ``doubtful`` holds the numbers whose last call got no answer: both outcomes are right.

    ``unanswered`` holds the seconds that searches took which were answered as temporarily unavailable.
    """

    briefs: dict[int, str] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    doubtful: set[int] = field(default_factory=set)
    unanswered: list[float] = field(default_factory=list)
    found: int = 0
    writes: int = 0
    taken: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_number(self) -> int:
        with self.lock:
            self.taken += 1
            return self.taken

    @property
    def settled(self) -> list[int]:
        """Numbers of which it is known whether they are there, and as what."""
        return [number for number in [*self.briefs, *self.gone] if number not in self.doubtful]

    @property
    def is_mixed(self) -> bool:
        """Whether a deletion and an update are acknowledged, too."""
        return bool(self.gone) and any(_AS_OF in brief for brief in list(self.briefs.values()))


@dataclass
class Client:
    """One client of a library, with pictures that no other one touches.

    A ``patient`` one goes on after a write that is answered as temporarily unavailable.
    """

    call: Call
    ledger: Ledger
    chance: random.Random
    patient: bool = False
    mine: list[int] = field(default_factory=list)
    serial: int = 0

    def work(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Add, change, delete and search, and record every acknowledged outcome, while wanted and connected."""
        try:
            while wanted():
                self._step()
        except httpx.TransportError:
            return

    def _step(self) -> None:
        dice = self.chance.random()
        if dice < _ADDS or not self.mine:
            number = self.ledger.next_number()
            self._say(number, "add", f"added {number}")
            return
        number = self.chance.choice(self.mine)
        if dice < _ADDS + _UPDATES:
            self.serial += 1
            self._say(number, "update", f"{number}{_AS_OF}{self.serial}")
        elif dice < _ADDS + _UPDATES + _DELETES:
            if self._writes(number, "delete"):
                self.mine.remove(number)
                del self.ledger.briefs[number]
                self.ledger.gone.add(number)
        else:
            self._search(number)

    def _say(self, number: int, operation: str, brief: str) -> None:
        """Add a picture, or say something else of it."""
        if self._writes(number, operation, brief=brief):
            self.ledger.briefs[number] = brief
            if operation == "add":
                self.mine.append(number)

    def _writes(self, number: int, operation: str, **fields: str) -> bool:
        """Whether the call is acknowledged. If not, nobody calls for this picture again, and what it is stays in doubt."""
        self.ledger.doubtful.add(number)
        answer = self.call(operation, image=image(number), **fields)
        if self.patient and answer.get("error_code") == _UNAVAILABLE:
            self.mine = [one for one in self.mine if one != number]
            return False
        assert "error_code" not in answer, answer
        self.ledger.doubtful.discard(number)
        self.ledger.writes += 1
        return True

    def _search(self, number: int) -> None:
        began = time.monotonic()
        answer = self.call("search", image=image(number), rn=1)
        if answer.get("error_code") == _UNAVAILABLE:
            self.ledger.unanswered.append(time.monotonic() - began)
            return
        assert _exact(answer) == [self.ledger.briefs[number]], number
        self.ledger.found += 1


def check(call: Call, ledger: Ledger, numbers: Iterable[int]) -> None:
    """Assert that every acknowledged picture is found with its last brief, and no deleted one."""
    for number in numbers:
        exact = _exact(call("search", image=image(number), rn=1))
        assert exact == ([ledger.briefs[number]] if number in ledger.briefs else []), number


def _exact(answer: dict[str, Any]) -> list[str]:
    """Briefs of the identical pictures found."""
    return [one["brief"] for one in answer["result"] if one["score"] == 1]
