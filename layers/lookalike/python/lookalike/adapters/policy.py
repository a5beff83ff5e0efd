"""An application's policy as text, the same in every store."""

from __future__ import annotations

import json
from dataclasses import fields

from lookalike.model import NO_POLICY, Kind, Policy


def policy_text(policy: Policy) -> str:
    """JSON of what differs from the policy that allows everything."""
    values = {field.name: getattr(policy, field.name) for field in fields(Policy)}
    return json.dumps({name: value for name, value in values.items() if value != getattr(NO_POLICY, name)})


def policy_of(text: str) -> Policy:
    """The policy that :func:`policy_text` wrote; an older version's has fewer fields."""
    values = json.loads(text)
    if "kind" in values:
        values["kind"] = Kind(values["kind"])
    if "networks" in values:
        values["networks"] = tuple(values["networks"])
    return Policy(**values)
