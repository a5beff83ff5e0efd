"""Changes of models, step by step: what a server does in the background, and a command where none runs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from lookalike.domain.model_change import ModelRef, ModelsInUse, Phase
from lookalike.errors import InvalidArgument, LookalikeError
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.server.control import Tell
from lookalike.service.lost_originals import with_lost_now
from lookalike.service.model_change import ChangeRefused, back, begin, switch
from lookalike.service.model_comparison import compare
from lookalike.service.model_drop import drop
from lookalike.service.model_fill import Progress, Stopped, Watch, fill
from lookalike.service.model_progress import note_fill

#: Seconds until every process knows of a change: here at once, and calls that had begun have ended; on AWS each process
#: remembers the models for 30 s, and then finishes calls that it has begun.
SETTLE_SECONDS, SETTLE_SECONDS_AWS = 5.0, 60.0

#: Seconds until a fill that has failed is tried again.
_RETRY_SECONDS = 30.0

#: Seconds between two notes for /status how far a fill is.
_NOTED_SECONDS = 2.0

#: Pictures between two log lines about a fill.
_LOGGED = 1000


class ModelChanges:
    """Fills a model in a thread of its own, from where the last fill ended, and does the other steps when it is asked to.

    Parameters
    ----------
    ports : without a view.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._settle = SETTLE_SECONDS_AWS if ports.settings.on_aws else SETTLE_SECONDS
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._progress = Progress()
        self._logged = 0
        self._note_at = 0.0
        self._problem: str | None = None

    def start(self) -> None:
        """Go on with a fill that was begun, if there is one. Raises Unavailable."""
        models = self._ports.stores.embeddings.models()
        if models is None or models.phase is not Phase.FILLING:
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._fill, name="fill", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop the fill, and wait until it has."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def command(self, _ports: Ports, asked: Mapping[str, Any], tell: Tell) -> str:
        """Do a step; return the state in JSON.

        ``step`` is ``begin`` (with ``model`` and ``rate``), ``status``, ``compare`` (with ``count`` and ``shown``), ``switch``
        (with ``leave_lost``), ``back`` or ``drop``.
        """
        steps: Mapping[str, Callable[[], dict[str, Any]]] = {
            "begin": lambda: self._begin(ModelRef(**asked["model"]), float(asked["rate"])),
            "status": self._state,
            "compare": lambda: self._compare(int(asked["count"]), int(asked["shown"]), tell),
            "switch": lambda: self._switch(tell, leave_lost=bool(asked["leave_lost"])),
            "back": lambda: self._done(back(self._ports)),
            "drop": lambda: self._drop(tell),
        }
        if asked["step"] not in steps:
            raise InvalidArgument("step", "no such step")
        return json.dumps(steps[asked["step"]]())

    def _begin(self, model: ModelRef, rate: float) -> dict[str, Any]:
        with self._lock:
            self._problem = None
        models = begin(self._ports, model, rate)
        self._log(models)
        self._halt()  # so that another rate counts from now on
        self.start()
        return self._state()

    def _switch(self, tell: Tell, *, leave_lost: bool) -> dict[str, Any]:
        tell("comparing the index with the catalog")
        watch = Watch(pause=self._pause)
        return self._done(switch(self._ports, watch, leave_lost=leave_lost))

    def _drop(self, tell: Tell) -> dict[str, Any]:
        self._halt()
        tell("removing what is not needed any more")
        return self._done(drop(self._ports, self._settle, Watch(pause=self._pause)))

    def _compare(self, count: int, shown: int, tell: Tell) -> dict[str, Any]:
        models = self._ports.stores.embeddings.models()
        if models is None or models.other is None:
            raise ChangeRefused("there is one model, and nothing to compare it with")
        told = compare(
            self._ports, models, models.other, count, shown, lambda done: tell(f"searching, {done} of {count}")
        )
        return told.to_plain()

    def _done(self, models: ModelsInUse | None) -> dict[str, Any]:
        self._log(models)
        return self._state()

    def _log(self, models: ModelsInUse | None) -> None:
        live = self._ports.embedder.model if models is None else models.live.name
        other = None if models is None or models.other is None else models.other.name
        phase = None if models is None else models.phase
        logger.info(
            "the models in use have changed",
            extra={"operation": "reembed", "model": live, "other": other, "phase": phase},
        )

    def _state(self) -> dict[str, Any]:
        models = self._ports.stores.embeddings.models()
        if models is not None:
            models = with_lost_now(self._ports, models)
        running = self._thread is not None and self._thread.is_alive()
        said = None if models is None else json.loads(models.to_json())
        return {
            "models": said,
            "filling": asdict(self._progress) if running else None,
            "problem": self._problem,
        }

    def _halt(self) -> None:
        """Stop the fill for now."""
        self.close()
        self._stop.clear()

    def _fill(self) -> None:
        """Fill until it is done, or told to stop; what fails is tried again."""
        watch = Watch(self._tell, self._stop.is_set, self._pause)
        self._note_at = 0.0
        while not self._stop.is_set():
            try:
                models = fill(self._ports, self._settle, watch)
            except Stopped:
                return
            except LookalikeError as error:
                self._fail(str(error), error)
            except Exception as error:  # whatever it is: the next try may find it gone, and the state says it
                self._fail(f"internal error: {error!r}", error)
            else:
                self._problem = None
                self._log(models)
                return
            self._stop.wait(_RETRY_SECONDS)

    def _fail(self, problem: str, error: Exception) -> None:
        self._problem = problem
        logger.warning(
            "a fill has stopped, and is tried again",
            exc_info=error,
            extra={"operation": "reembed", **error_fields(error)},
        )

    def _tell(self, progress: Progress) -> None:
        self._progress = progress
        self._problem = None
        if time.monotonic() >= self._note_at:
            note_fill(self._ports, progress)
            self._note_at = time.monotonic() + _NOTED_SECONDS
        if progress.done - self._logged >= _LOGGED or progress.done < self._logged:
            self._logged = progress.done
            logger.info("filling a model", extra={"operation": "reembed", **asdict(progress)})

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._stop.wait(seconds)
