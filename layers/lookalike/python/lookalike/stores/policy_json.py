"""Applications' policies as JSON, the same in every store."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import lru_cache
from ipaddress import ip_network

from lookalike.domain.application import NO_POLICY, Permission, Policy
from lookalike.domain.library import Kind


def policy_to_json(policy: Policy) -> str:
    """Return the JSON of the fields that differ from the policy that allows everything."""
    values = {field.name: getattr(policy, field.name) for field in fields(Policy)}
    return json.dumps({name: value for name, value in values.items() if value != getattr(NO_POLICY, name)})


@lru_cache(256)
def policy_from_json(text: str) -> Policy:
    """Return the policy of :func:`policy_to_json`; fields that an older version did not write have their defaults.

    Raises RecursionError, TypeError or ValueError for a damaged policy: an application whose limits are lost may not
    call.
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise TypeError("not a policy")
    if "kind" in values:
        values["kind"] = Kind(values["kind"])
    if "networks" in values:
        values["networks"] = tuple(map(_network, values["networks"]))
    if "may" in values:
        values["may"] = tuple(Permission(_text(one)) for one in _some(values["may"]))
    if "libraries" in values:
        values["libraries"] = tuple(_text(one) for one in _some(values["libraries"]))
    policy = Policy(**values)
    if not all(map(_is_limit, (policy.per_second, policy.per_day, policy.in_total, policy.capacity))):
        raise ValueError("a limit that is not a number")
    return policy


def _some(values: object) -> list[object]:
    """Return a list that is not empty: one that has lost its members would permit everything."""
    if not isinstance(values, list) or not values:
        raise TypeError("no list of what is permitted")
    return values


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("a name that is no text")
    return value


def _network(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError("a network that is not text")
    ip_network(text, strict=False)
    return text


def _is_limit(value: object) -> bool:
    return value is None or (type(value) is int and value >= 1)
