"""The application that a command is for."""

from __future__ import annotations

from lookalike.domain.application import Application
from lookalike.errors import InvalidArgument
from lookalike.ports import Applications
from lookalike.service.applications import find_application


def one_application(applications: Applications, name: str | None) -> Application:
    """Return the application of that name or access key, or the only one. Raises InvalidArgument."""
    if name is not None:
        return find_application(applications, name)
    known = applications.applications()
    if not known:
        raise InvalidArgument("--name", "there are no applications; `lookalike keys create` makes one")
    if len(known) > 1:
        raise InvalidArgument(
            "--name",
            f"there are several applications: say which is meant, one of {', '.join(one.name for one in known)}",
        )
    return known[0]
