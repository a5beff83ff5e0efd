"""Who may call: making applications, changing their secrets, and taking their keys away."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import replace
from ipaddress import ip_network

from lookalike.domain.application import NO_POLICY, Application, Policy
from lookalike.errors import InvalidArgument, RevisionConflict
from lookalike.ports import Applications, Clock

_LETTERS = string.ascii_letters + string.digits

#: Letters of an access key, and of a secret key.
_ACCESS, _SECRET = 24, 32


def create_application(
    applications: Applications, clock: Clock, name: str, tenant: str | None = None, policy: Policy = NO_POLICY
) -> Application:
    """A new application with fresh keys; of a new tenant unless told which.

    Keys have the shape clients know: access key 24, secret key 32 letters and digits, app id 9 digits.
    ``name`` is 1 to 64 printable characters, ``tenant`` 1 to 64 letters, digits, ``_`` and ``-``. Raises
    InvalidArgument if one is not, or if an application of that name is there already.
    """
    if tenant is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tenant):
        raise InvalidArgument("tenant", "must be 1 to 64 letters, digits, _ and -")
    application = Application(
        access_key=_word(_ACCESS),
        secret_key=_word(_SECRET),
        app_id=_free_app_id(applications),
        tenant=tenant or f"t{secrets.token_hex(6)}",
        name=name,
        created=clock(),
        policy=policy,
    )
    return save_application(applications, application)


def save_application(applications: Applications, application: Application) -> Application:
    """Keep a new or changed application, as it is returned: its networks in their usual form.

    Raises InvalidArgument if its name is not 1 to 64 printable characters or is another application's, if a limit is
    below 1, or if a network is none.
    """
    name = application.name
    if not (1 <= len(name) <= 64 and name.isprintable() and name == name.strip()):
        raise InvalidArgument("name", "must be 1 to 64 printable characters")
    checked = replace(application, policy=_checked(application.policy))
    try:
        applications.save_application(checked)
    except RevisionConflict:
        raise InvalidArgument("name", f"{name} is taken by another application") from None
    return checked


def _checked(policy: Policy) -> Policy:
    for name in ("per_second", "per_day", "in_total"):
        limit = getattr(policy, name)
        if limit is not None and limit < 1:
            raise InvalidArgument(name, "must be 1 or more")
    try:
        return replace(policy, networks=tuple(str(ip_network(network)) for network in policy.networks))
    except ValueError as error:  # it says which and why
        raise InvalidArgument("networks", str(error)) from error


def find_application(applications: Applications, name: str) -> Application:
    """The application of that name, or of that access key. Raises InvalidArgument if there is none."""
    for application in applications.applications():
        if name in (application.name, application.access_key):
            return application
    raise InvalidArgument("name", f"no application is called {name}")


def new_secret(applications: Applications, name: str) -> Application:
    """The application with a fresh secret key in the old one's place; all else of it stays.

    Signatures and tokens are made with the secret, so those made with the old one are refused from now on. ``name`` is
    its name or its access key. Raises InvalidArgument if there is none.
    """
    return save_application(applications, replace(find_application(applications, name), secret_key=_word(_SECRET)))


def revoke_application(applications: Applications, name: str) -> Application:
    """Take an application's keys away for good; its tokens die with them, its tenant's libraries stay.

    ``name`` is its name or its access key. Raises InvalidArgument if there is none.
    """
    application = find_application(applications, name)
    applications.remove_application(application.access_key)
    return application


def _word(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _free_app_id(applications: Applications) -> str:
    while True:
        app_id = str(100_000_000 + secrets.randbelow(900_000_000))
        if applications.application_by_id(app_id) is None:
            return app_id
