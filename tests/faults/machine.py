"""The state machine: callers, uploads and operators, with faults anywhere, and a dictionary that knows what must come of it.

What may happen at any time are the rules. :meth:`Machine.drained` lets whatever waits come, and compares the answers with the
model and the stores with each other.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from lookalike.domain.consistency import Fault
from lookalike.errors import LookalikeError
from lookalike.service.applications import new_secret
from tests.faults import model
from tests.faults.acts import (
    FILES,
    SAME,
    SHOP,
    SIGNS,
    Act,
    acts,
    adds,
    deletes,
    numbers,
    puts,
    restores,
    updates,
)
from tests.faults.faults import Crash, Kind, Plan
from tests.faults.model import NOTHING, Model
from tests.faults.world import ALICE, UPLOADED, World
from tests.support.native import NativeCaller, image

DAY = 86_400_000

#: Differences that may never be there once all has come. Others are what processes leave that end between two writes:
#: files, maps and hidden entries that nobody sees, which a repair removes.
NEVER = set(Fault) - {Fault.ORPHAN_FILE, Fault.ORPHAN_MAP, Fault.ORPHAN_ENTRY}

#: What all runs of this process have done: rules by name, steps, faults injected, restarts after a process's end.
DONE: Counter[str] = Counter()

names = st.sampled_from("abc")

#: Whether a change of models goes on, or is given up.
ways = st.sampled_from([True, True, True, True, False])

#: Calls of all ports until one fails, of which most acts make 3 to 20; and of one port, of which they make fewer.
plans = st.one_of(
    st.none(),
    st.builds(Plan, st.sampled_from(Kind), st.integers(0, 10)),
    st.builds(
        Plan,
        st.sampled_from(Kind),
        st.integers(0, 3),
        st.sampled_from(["catalog", "index", "originals", "maps", "uploads", "objects", "embedder"]),
        st.sampled_from([1, 3]),
    ),
)


def step(**given: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule whose calls are counted."""

    def counted(do: Callable[..., None]) -> Any:
        @wraps(do)
        def act(self: Machine, **drawn: Any) -> None:
            DONE["steps"] += 1
            DONE[do.__name__] += 1
            do(self, **drawn)

        decorate: Any = rule(**given)
        return decorate(act)

    return counted


class Machine(RuleBasedStateMachine):
    """Drives the stack that ``world_of`` makes."""

    world_of: ClassVar[type[World]]

    @initialize(seed=st.integers(0, 1 << 16))
    def begin(self, seed: int) -> None:
        self.world = type(self).world_of(seed)
        self.model = Model()
        self.secret = ALICE.secret_key
        self.old_secret: tuple[str, int] | None = None
        self.lies: dict[str, tuple[int, str]] = {}  # the bucket: what each name shows, and says
        self.taken_away = False
        self.lost = False  # records that the stream has forgotten before they were delivered
        self._make_shop()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if sys.exception() is None:
                self.drained()
        finally:
            DONE["faults"] += self.world.faults.injected
            self.world.close()

    # -- callers -------------------------------------------------------------------------------------------------------

    @step(act=adds, plan=plans)
    def add(self, act: Act, plan: Plan | None) -> None:
        self._act(act, plan)

    @step(act=puts, plan=plans)
    def put(self, act: Act, plan: Plan | None) -> None:
        self._act(act, plan)

    @step(act=updates, plan=plans)
    def update(self, act: Act, plan: Plan | None) -> None:
        self._act(act, plan)

    @step(act=deletes, plan=plans)
    def delete(self, act: Act, plan: Plan | None) -> None:
        self._act(act, plan)

    @step(act=restores, plan=plans)
    def restore(self, act: Act, plan: Plan | None) -> None:
        self._act(act, plan)

    def _act(self, act: Act, plan: Plan | None) -> None:
        self.model.done(act.name, act.step, self._call(plan, act.method, act.path, act.said))

    @step(act=acts, other=acts, same=st.booleans(), after=st.integers(0, 12))
    def act_within_another(self, act: Act, other: Act, same: bool, after: int) -> None:
        """Somebody else calls in the middle of a call, often for the same picture."""
        if same and other.name[0] == act.name[0]:
            other = other.of(act.name)
        inner: list[int | None] = []
        plan = Plan(Kind.MEANWHILE, after, meanwhile=lambda: inner.append(self._within(other)))
        outer = self._call(plan, act.method, act.path, act.said)
        if not inner:
            self.model.done(act.name, act.step, outer)
        elif act.name == other.name:
            self.model.both(act.name, (act.step, outer), (other.step, inner[0]))
        else:
            self.model.done(act.name, act.step, outer)
            self.model.done(other.name, other.step, inner[0])

    def _within(self, act: Act) -> int | None:
        DONE["within"] += 1
        return self._call(None, act.method, act.path, act.said)

    @step(act=acts, after=st.integers(0, 12))
    def purge_within_an_act(self, act: Act, after: int) -> None:
        """A purge, eight days later, comes in the middle of a call."""
        self._before_days_pass()
        inner: list[bool] = []

        def purges() -> None:
            DONE["within"] += 1
            self.world.pass_time(8 * DAY)
            with suppress(LookalikeError):
                self.world.purge()
            inner.append(True)

        outer = self._call(Plan(Kind.MEANWHILE, after, meanwhile=purges), act.method, act.path, act.said)
        before = dict(self.model.may_be)
        self.model.purged(done=False)
        if inner:
            self.model.may_be[act.name] = before.get(act.name, frozenset({NOTHING}))
            self.model.both(act.name, (act.step, outer), (lambda was: (0, model.purge(was)), None))
        else:
            self.model.may_be = before
            self.model.done(act.name, act.step, outer)

    @step(number=numbers, plan=plans)
    def search(self, number: int, plan: Plan | None) -> None:
        """What is shown is as the catalog has it, also while the index is behind; what is identical is found at once."""
        if (found := self._search(SAME, number, plan)) is not None:
            self._compare_same(number, found)

    def remove_group(self, plan: Plan | None) -> None:
        """A group is removed, by a caller that repeats the call until it is answered, and made anew."""
        self._call(plan, "DELETE", f"/libraries/{SHOP}")
        self._back()
        assert self._call(None, "DELETE", f"/libraries/{SHOP}") in (204, 404)
        self.model.removed(SHOP)
        self._make_shop()

    def _make_shop(self) -> None:
        assert self._call(None, "PUT", f"/libraries/{SHOP}", {"kind": "similar"}) == 201

    def _call(self, plan: Plan | None, method: str, path: str, said: Any = None) -> int | None:
        """Call the API; return the status, or None if nobody knows what has become of the call."""
        self.world.clock.now += 1
        done = self._do(plan, lambda: NativeCaller(replace(ALICE, secret_key=self.secret)).call(method, path, said))
        if done is None or done.status == 503:
            return None
        assert done.status < 500, done.body
        self.answer: Any = json.loads(done.body) if done.body else None
        return int(done.status)

    def _do(self, plan: Plan | None, act: Callable[[], Any]) -> Any:
        """Act with a fault; None if the process has ended, in whose place there is a new one then."""
        self.world.faults.expect(plan)
        try:
            return act()
        except Crash:
            DONE["restarts"] += 1
            self.world.restart()
            return None
        finally:
            self.world.faults.expect(None)

    # -- uploads -------------------------------------------------------------------------------------------------------

    @step(name=names, number=numbers, brief=st.sampled_from(["", "said"]))
    def put_object(self, name: str, number: int, brief: str) -> None:
        words = {"brief": brief + name} if brief else {}
        self.world.put(name, FILES[number], words)
        self.lies[name] = number, brief + name

    @precondition(lambda self: self.lies)
    @step(name=names, to=names)
    def rename_object(self, name: str, to: str) -> None:
        if name != to and name in self.lies:
            self._rename(name, to)

    def _rename(self, name: str, to: str) -> None:
        self.taken_away = True
        self.world.move(name, to)
        number, brief = self.lies.pop(name)
        self.lies[to] = number, to if brief == name else brief

    @precondition(lambda self: len(self.lies) > 1)
    @step(one=names, other=names)
    def swap_objects(self, one: str, other: str) -> None:
        if one != other and {one, other} <= self.lies.keys():
            for name, to in ((one, "t"), (other, one), ("t", other)):
                self._rename(name, to)

    @precondition(lambda self: self.lies)
    @step(name=names)
    def remove_object(self, name: str) -> None:
        if name in self.lies:
            self.taken_away = True
            self.world.remove(name)
            del self.lies[name]

    @precondition(lambda self: self.world.events)
    @step(which=st.integers(0, 1000), plan=plans)
    def event_comes(self, which: int, plan: Plan | None) -> None:
        """Any event comes, for the first time or once more."""
        event = self.world.events[which % len(self.world.events)]
        self._do(plan, lambda: self.world.deliver_event(event))

    # -- the index -----------------------------------------------------------------------------------------------------

    @step(limit=st.integers(1, 5), again=st.sampled_from([0, 0, 1, 10]), plan=plans)
    def stream_comes(self, limit: int, again: int, plan: Plan | None) -> None:
        """Some records of the stream come, ``again`` of them for the second time."""
        self.world.rewind_stream(again)
        self._do(plan, lambda: self.world.deliver_stream(limit))

    def index_goes(self, _plan: Plan | None) -> None:
        self.world.faults.away["index"] = Kind.REFUSED

    def index_is_slow(self, _plan: Plan | None) -> None:
        """It does what it is asked, and nobody waits for its answers."""
        self.world.faults.away["index"] = Kind.LOST

    def index_comes_back(self, _plan: Plan | None) -> None:
        self.world.faults.away.clear()

    # -- operators -----------------------------------------------------------------------------------------------------

    def purge(self, plan: Plan | None) -> None:
        """A purge, eight days later."""
        self._before_days_pass()
        self.world.pass_time(8 * DAY)
        try:
            done = self._do(plan, self.world.purge)
        except LookalikeError:
            done = None
        self.model.purged(done=bool(done))

    def _before_days_pass(self) -> None:
        """Deliver what the stream would forget, unless the index is away: then it is lost, and an operator repairs it."""
        if "index" in self.world.faults.away:
            self.lost = True
        else:
            self.world.drain_index()

    def sweep(self, plan: Plan | None) -> None:
        """A purge twenty minutes later, which removes the rows of removed libraries. The stream may be behind."""
        self.world.pass_time(20 * 60_000)
        with suppress(LookalikeError):
            self._do(plan, self.world.purge)
        self.model.purged(done=False)

    def check(self, plan: Plan | None) -> None:
        """A check in the middle of everything, which may break off."""
        self._check(plan, repair=False)

    def repair(self, plan: Plan | None) -> None:
        """A repair, likewise."""
        self._check(plan, repair=True)

    def _check(self, plan: Plan | None, *, repair: bool) -> None:
        if "index" in self.world.faults.away:
            return
        try:
            self._do(plan, lambda: self.world.check(repair=repair))
        except LookalikeError:
            return

    def rotate(self, plan: Plan | None) -> None:
        """A new secret, beside which the one before opens for a minute."""
        until = self.world.clock.now + 60_000
        with suppress(LookalikeError):
            self._do(plan, lambda: new_secret(self.world.ports.applications, ALICE.name, until))
        now = self.world.real.applications.application(ALICE.access_key)
        assert now is not None
        if now.secret_key != self.secret:
            self.old_secret = self.secret, until
            self.secret = now.secret_key

    def call_with_the_old_secret(self, _plan: Plan | None) -> None:
        if self.old_secret is None:
            return
        old, until = self.old_secret
        answered = NativeCaller(replace(ALICE, secret_key=old)).call("GET", "/jobs").status
        assert answered == (200 if self.world.clock.now < until else 401)

    @step(
        what=st.sampled_from(
            [
                "sweep",
                "purge",
                "remove_group",
                "check",
                "repair",
                "rotate",
                "call_with_the_old_secret",
                "index_goes",
                "index_is_slow",
                "index_comes_back",
                "drained",
            ]
        ),
        plan=plans,
    )
    def happens(self, what: str, plan: Plan | None) -> None:
        """One of what is rarer than calls. As rules of their own they would be most of all steps."""
        DONE[what] += 1
        act: Callable[[Plan | None], None] = getattr(self, what)
        act(plan)

    # -- another model -------------------------------------------------------------------------------------------------
    # Every answer stays as the dictionary has it: it does not say by which model a picture was found.

    @step(forward=ways, plan=plans)
    def change_models(self, forward: bool, plan: Plan | None) -> None:
        """The next step of a change of models: begin, fill, switch, back; or the other model is dropped."""
        self._change_models(plan, forward=forward, may_fail=plan is not None)

    @step(forward=ways, act=acts, after=st.integers(0, 40))
    def act_within_a_change_of_models(self, forward: bool, act: Act, after: int) -> None:
        """Somebody calls in the middle of such a step, perhaps in a process that does not know of it."""
        inner: list[int | None] = []
        plan = Plan(Kind.MEANWHILE, after, meanwhile=lambda: inner.append(self._within(act)))
        self._change_models(plan, forward=forward, may_fail=False)
        if inner:
            self.model.done(act.name, act.step, inner[0])

    def _change_models(self, plan: Plan | None, *, forward: bool, may_fail: bool) -> None:
        try:
            done = self._do(plan, lambda: self.world.change_models(forward=forward))
        except LookalikeError:
            if may_fail or self.world.faults.away:
                return
            raise
        if done is not None:
            DONE[done] += 1

    # -- what must hold ------------------------------------------------------------------------------------------------

    def drained(self, _plan: Plan | None = None) -> None:
        """Once all has come, nothing is lost, nothing is back, and the stores agree."""
        world = self.world
        self._back()
        world.drain_events()
        world.drain_index()
        found = world.check(repair=self.lost).found
        wrong = NEVER & found.keys()
        assert not wrong or self.lost, found
        assert not wrong & {Fault.NO_ORIGINAL, Fault.NO_MAP, Fault.UNREADABLE}, found
        assert world.check(repair=True).left == 0
        assert world.check(repair=False).found == {}
        assert not world.letters.letters
        self.lost = False
        world.faults.failed.clear()
        self._compare()

    def _back(self) -> None:
        """Everything is back, and nothing fails any more."""
        self.world.faults.away.clear()
        self.world.faults.expect(None)

    def _compare(self) -> None:
        """Compare answers with the model."""
        shown = self._listed(SHOP)
        for number in range(len(FILES)):
            self._compare_same(number, self._search(SAME, number))
            name, match = f"p{number}", shown.get(f"p{number}", ("", None))
            file = next((file for file in range(len(FILES)) if match[0] == SIGNS[file]), None)
            self.model.seen((SHOP, number), file, match[1] or "")
            if file is not None:
                assert self._finds(SHOP, file, name), f"{name} is listed, and not found"
        self._compare_uploads()

    def _search(self, library: str, file: int, plan: Plan | None = None) -> list[dict[str, Any]] | None:
        """Search for a file; return the matches, or None if there is no answer."""
        status = self._call(plan, "POST", f"/libraries/{library}/search", {"image": image(FILES[file])})
        assert status in (200, 404, None)
        return None if status is None else self.answer["matches"] if status == 200 else []

    def _compare_same(self, number: int, matches: list[dict[str, Any]] | None) -> None:
        assert matches is not None, "everything is back, and there is no answer"
        exact = [one for one in matches if one["why"] == "identical"]
        assert len(exact) <= 1
        assert not exact or (exact[0]["score"], exact[0]["id"]) == (1, SIGNS[number])
        self.model.seen((SAME, number), number if exact else None, exact[0].get("brief", "") if exact else "")

    def _finds(self, library: str, file: int, name: str) -> bool:
        return name in [one["id"] for one in self._search(library, file) or () if one["why"] == "identical"]

    def _listed(self, library: str) -> dict[str, tuple[str, str]]:
        """What a library lists: sign and brief, by id."""
        status = self._call(None, "GET", f"/libraries/{library}/pictures")
        assert status in (200, 404)
        pictures = self.answer["pictures"] if status == 200 else []
        return {one["id"]: (one["cont_sign"], one.get("brief", "")) for one in pictures}

    def _compare_uploads(self) -> None:
        """What lies in the bucket is in the library, by a present name; what was only overwritten is not."""
        shown = {SIGNS.index(sign): brief for sign, brief in self._listed(UPLOADED).values()}
        lying = {number for number, _ in self.lies.values()}
        assert lying <= shown.keys(), f"{self.lies} lie there, and {shown} is shown"
        for number in lying:
            assert shown[number] in {brief for lies, brief in self.lies.values() if lies == number}
            assert self._finds(UPLOADED, number, SIGNS[number])
        assert self.taken_away or shown.keys() == lying, f"{self.lies} lie there, and {shown} is shown"
