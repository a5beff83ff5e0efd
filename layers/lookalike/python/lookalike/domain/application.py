"""Applications that may call, and their policies."""

from __future__ import annotations

from dataclasses import dataclass, field

from lookalike.domain.library import Kind


@dataclass(frozen=True, slots=True)
class Policy:
    """An application's limits and defaults, set by the operator. None and an empty tuple set no limit.

    ``kind`` is the default kind of libraries that the application creates. ``per_second``, ``per_day`` (UTC) and
    ``in_total`` are calls. ``networks`` are the networks that it may call from, in CIDR notation.
    """

    kind: Kind = Kind.SIMILAR
    per_second: int | None = None
    per_day: int | None = None
    in_total: int | None = None
    networks: tuple[str, ...] = ()


#: Policy of a new application.
NO_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Application:
    """A caller. ``app_id`` is decimal digits; ``created`` is Unix milliseconds."""

    access_key: str
    secret_key: str = field(repr=False)
    app_id: str
    tenant: str
    name: str
    active: bool = True
    created: int = 0
    policy: Policy = NO_POLICY
