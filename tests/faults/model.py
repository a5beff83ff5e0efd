"""What the service must answer: a dictionary of pictures, each with the states that it may be in.

A call that is acknowledged or refused leaves exactly what it says. After one that has failed, or that the process has not
outlived, a picture may be as before or as the call was to leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

ABSENT, LIVE, DELETED = "absent", "live", "deleted"


@dataclass(frozen=True, slots=True)
class State:
    """A picture: whether it is there, which file it is, and what is said of it."""

    kind: str = ABSENT
    file: int = 0
    brief: str = ""


NOTHING = State()

Name = tuple[str, int]
"""A library and a picture's number in it."""

Step = Callable[[State], tuple[int, State]]
"""What a call answers, by its status, and leaves of a picture."""


def add(file: int, brief: str) -> Step:
    """Adding what is its own id."""
    return lambda was: (409, was) if was.kind == LIVE else (201, State(LIVE, file, brief))


def put(file: int, brief: str) -> Step:
    """Putting a picture by its id."""
    return lambda was: (200 if was.kind == LIVE else 201, State(LIVE, file, brief))


def update(brief: str) -> Step:
    """Changing what is said of it."""
    return lambda was: (200, State(LIVE, was.file, brief)) if was.kind == LIVE else (404, was)


def delete(was: State) -> tuple[int, State]:
    """Deleting it."""
    return (204, State(DELETED, was.file, was.brief)) if was.kind == LIVE else (404, was)


def restore(was: State) -> tuple[int, State]:
    """Restoring it, if it is deleted."""
    return (404, was) if was.kind == ABSENT else (200, State(LIVE, was.file, was.brief))


def purge(was: State) -> State:
    """Purging it, if it is deleted."""
    return NOTHING if was.kind == DELETED else was


@dataclass
class Model:
    """States that each picture may be in."""

    may_be: dict[Name, frozenset[State]] = field(default_factory=dict)

    def states(self, name: Name) -> frozenset[State]:
        """Return the states of a picture."""
        return self.may_be.get(name, frozenset({NOTHING}))

    def done(self, name: Name, step: Step, status: int | None) -> None:
        """Take over a call's outcome; None: nobody knows it. Raises AssertionError for an answer that cannot be."""
        outcomes = [step(was) for was in self.states(name)]
        if status is None:
            self.may_be[name] = self.states(name) | {after for _, after in outcomes}
            return
        after = frozenset(after for answered, after in outcomes if answered == status)
        assert after, f"{name} is {self.states(name)}, and {status} was answered"
        self.may_be[name] = after

    def both(self, name: Name, one: tuple[Step, int | None], other: tuple[Step, int | None]) -> None:
        """Take over two calls at the same time: one was after the other, whichever. Raises AssertionError likewise."""
        before = self.states(name)
        after: frozenset[State] = frozenset()
        for calls in ((one, other), (other, one)):
            self.may_be[name] = before
            with suppress(AssertionError):
                for step, status in calls:
                    self.done(name, step, status)
                after |= self.may_be[name]
        assert after, f"{name} was {before}, and {one[1]} and {other[1]} were answered"
        self.may_be[name] = after

    def purged(self, *, done: bool) -> None:
        """Take over a purge of all that is deleted; not done: of some of it."""
        for name, states in self.may_be.items():
            after = frozenset(map(purge, states))
            self.may_be[name] = after if done else states | after

    def removed(self, library: str) -> None:
        """A library is removed, and made anew."""
        for name in self.may_be:
            if name[0] == library:
                self.may_be[name] = frozenset({NOTHING})

    def seen(self, name: Name, file: int | None, brief: str) -> None:
        """Take over what is shown of a picture; ``file`` None: it is not shown. Raises AssertionError if it cannot be."""
        states = self.states(name)
        if file is None:
            fits = frozenset(state for state in states if state.kind != LIVE)
        else:
            fits = states & {State(LIVE, file, brief)}
        assert fits, f"{name} is {states}, and shown is {file}, {brief!r}"
        self.may_be[name] = fits

    def names(self, library: str) -> Iterable[Name]:
        """Return the names of a library that anything is known of."""
        return [name for name in self.may_be if name[0] == library]
