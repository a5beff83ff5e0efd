"""``GET /status``: what runs here, for whoever asks. It is no vendor's."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import lookalike
from lookalike.embedding import model_card
from lookalike.embedding.model_path import find_model
from lookalike.ports import Ports
from lookalike.wire.http import Answer, Request, Route, ascii_json

READY, DEGRADED = "ready", "degraded"


def status_body(status: str, model: str) -> dict[str, Any]:
    """Return the answer's body, which anybody may read."""
    return {"status": status, "version": lookalike.__version__, "model": model}


def _answer(ports: Ports, _request: Request) -> Answer:
    """Answer from a function: it runs, and its model is there. The model is not loaded for it."""
    return ascii_json(status_body(READY, model_name(ports)), headers=(("cache-control", "no-store"),))


def model_name(ports: Ports) -> str:
    """Return the name of the model that is there, without loading it."""
    return _model(ports.settings.model)


@lru_cache(1)
def _model(configured: str | None) -> str:
    return model_card.name_of(find_model(configured))


ROUTES = tuple(Route(method, "/status", _answer) for method in ("GET", "HEAD"))
