"""An application's policy as text, the same in every store."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import lru_cache
from ipaddress import ip_network

from lookalike.domain.application import NO_POLICY, Policy
from lookalike.domain.library import Kind


def policy_text(policy: Policy) -> str:
    """JSON of what differs from the policy that allows everything."""
    values = {field.name: getattr(policy, field.name) for field in fields(Policy)}
    return json.dumps({name: value for name, value in values.items() if value != getattr(NO_POLICY, name)})


@lru_cache(256)
def policy_of(text: str) -> Policy:
    """The policy that :func:`policy_text` wrote; an older version's has fewer fields.

    Raises RecursionError, TypeError or ValueError if it is none: whose limits are lost may not call.
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise TypeError("no policy")
    if "kind" in values:
        values["kind"] = Kind(values["kind"])
    if "networks" in values:
        values["networks"] = tuple(map(_network, values["networks"]))
    policy = Policy(**values)
    if not all(map(_is_limit, (policy.per_second, policy.per_day, policy.in_total))):
        raise ValueError("a limit that is no number of calls")
    return policy


def _network(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError("a network that is no text")
    ip_network(text, strict=False)
    return text


def _is_limit(value: object) -> bool:
    return value is None or (type(value) is int and value >= 1)
