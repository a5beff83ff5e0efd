"""A worker: a process that looks for one picture after another, as its server asks, and ends with it.

``python -m lookalike.server.workers.worker DESCRIPTOR``: the number of the socket that leads to the server.
"""

from __future__ import annotations

import signal
import socket
import sys
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import bootstrap
from lookalike.domain.model_change import ModelRef
from lookalike.errors import Abandoned, ModelError, SettingsError
from lookalike.limits.call import Job
from lookalike.observability import error_fields, log_failure
from lookalike.ports import Ports
from lookalike.server import heap
from lookalike.server.workers.asking import AskedCall, AskedIndex
from lookalike.server.workers.frames import LostError, receive_frame, send_frame
from lookalike.server.workers.messages import Answer, Question, Word
from lookalike.server.workers.plain import from_plain, to_plain
from lookalike.service.finding import find_here
from lookalike.service.looking import Scope
from lookalike.service.model_view import seen_with
from lookalike.settings import Settings
from lookalike.stores.local.searching_stores import SearchingStores

#: What Linux adds to a worker's share of the memory, in thousandths of all of it, when it looks for what to end.
_OOM_SCORE = "500"

#: A picture of the shape (1, 1, 3), which makes a model load all that it needs.
_DOT = np.zeros((1, 1, 3), np.uint8)


def main() -> None:
    """Look for pictures until the server ends the connection: signals to the whole service are the server's."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # where memory is short, Linux ends a worker and not the server: nobody misses it
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    with socket.socket(fileno=int(sys.argv[1])) as connection, suppress(LostError):
        (_, data, given), _ = receive_frame(connection)
        try:
            _work(connection, Settings(data=Path(data), **given), Path(data))
        except (ModelError, SettingsError) as error:
            send_frame(connection, [Word.FAILED, str(error)])


def _work(connection: socket.socket, settings: Settings, data: Path) -> None:
    """Open the stores and load the model, then answer questions. Raises ModelError, SettingsError, or LostError."""
    heap.keep_small_blocks(heaps=1)
    index = AskedIndex(connection)
    with closing(SearchingStores(data, index)) as stores:
        ports = replace(bootstrap.build(settings, stores=stores), call=AskedCall(connection))
        ports.embedder.embed([_DOT])
        send_frame(connection, [Word.READY])
        while True:
            (word, *said), pixels = receive_frame(connection)
            if word == Word.FIND:  # all else was said when it no longer mattered
                index.begin()
                send_frame(connection, _reply(ports, index, said[0], pixels))


def _reply(ports: Ports, index: AskedIndex, plain: Any, data: bytearray) -> list[Any]:
    """Return the answer to a question, or why there is none. Raises LostError."""
    try:
        question = from_plain(Question, plain)
        ports = _seen_with(ports, question.model)
        job = Job(question.tenant, ports.call, ports.processors)
        scope = Scope(ports, job, question.libraries, question.depth, question.tags)
        found = find_here(scope, question.picture(data))
        return [Word.FOUND, to_plain(Answer.of(found, index.number))]
    except LostError:
        raise
    except Abandoned as error:
        return [Word.FAILED, str(error)]
    except Exception as error:  # the server looks for the picture itself, and says what is wrong if it fails, too
        log_failure(error, {"operation": "search"})
        return [Word.FAILED, error_fields(error)["reason"]]


def _seen_with(ports: Ports, model: ModelRef | None) -> Ports:
    """Return the ports as a model sees them that the server uses, or used a moment ago."""
    models = None if model is None or ports.models is None else ports.models.in_use()
    return ports if model is None or models is None else seen_with(ports, models, model)


if __name__ == "__main__":
    main()
