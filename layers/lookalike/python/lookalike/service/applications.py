"""Applications: creation, change, new secrets, revocation."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import replace
from ipaddress import ip_network

from lookalike.domain.application import NO_POLICY, Application, Permission, Policy
from lookalike.errors import InvalidArgument, RevisionConflict
from lookalike.ports import Applications, Clock
from lookalike.service.libraries import is_library_name

_LETTERS = string.ascii_letters + string.digits

#: Characters of an access key, as clients expect.
_ACCESS_KEY_LENGTH = 24

#: Characters of a secret key, as clients expect.
_SECRET_KEY_LENGTH = 32


def create_application(
    applications: Applications, clock: Clock, name: str, tenant: str | None = None, policy: Policy = NO_POLICY
) -> Application:
    """Create an application with new keys, of a new tenant by default.

    Keys have the form that clients expect: an access key of 24, a secret key of 32 letters and digits, an app id of 9
    digits. Raises InvalidArgument if ``name`` is not 1 to 64 printable characters or taken, or ``tenant`` not 1 to 64
    letters, digits, ``_`` and ``-``.
    """
    if tenant is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tenant):
        raise InvalidArgument("tenant", "must be 1 to 64 letters, digits, _ and -")
    application = Application(
        access_key=_random_text(_ACCESS_KEY_LENGTH),
        secret_key=_random_text(_SECRET_KEY_LENGTH),
        app_id=_free_app_id(applications),
        tenant=tenant or f"t{secrets.token_hex(6)}",
        name=name,
        created=clock(),
        policy=policy,
    )
    return save_application(applications, application)


def save_application(applications: Applications, application: Application) -> Application:
    """Store a new or changed application; return it as stored, its networks in canonical form.

    Raises InvalidArgument if its name is not 1 to 64 printable characters or taken by another application, if a limit is
    below 1, or if a network or a library's name is invalid.
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
    for name in ("per_second", "per_day", "in_total", "capacity"):
        limit = getattr(policy, name)
        if limit is not None and limit < 1:
            raise InvalidArgument(name, "must be 1 or more")
    if wrong := next((library for library in policy.libraries if not is_library_name(library)), None):
        raise InvalidArgument("library", f"{wrong!r} is no library's name")
    policy = replace(policy, may=tuple(one for one in Permission if one in policy.may))
    try:
        return replace(policy, networks=tuple(str(ip_network(network)) for network in policy.networks))
    except ValueError as error:  # whose message names the network and the fault
        raise InvalidArgument("networks", str(error)) from error


def find_application(applications: Applications, name: str) -> Application:
    """Return the application of that name or access key. Raises InvalidArgument if there is none."""
    for application in applications.applications():
        if name in (application.name, application.access_key):
            return application
    raise InvalidArgument("name", f"no application is called {name}")


def new_secret(applications: Applications, name: str, old_until: int | None = None) -> Application:
    """Give the application a new secret key; return the application.

    The secret key that it had opens beside the new one until Unix milliseconds ``old_until``; None: signatures and tokens
    made with it are refused from now on. Older ones are refused in any case. ``name`` is the application's name or access
    key. Raises InvalidArgument if there is none.
    """
    found = find_application(applications, name)
    return save_application(
        applications,
        replace(
            found,
            secret_key=_random_text(_SECRET_KEY_LENGTH),
            old_secret_key="" if old_until is None else found.secret_key,
            old_secret_until=old_until or 0,
        ),
    )


def revoke_application(applications: Applications, name: str) -> Application:
    """Remove the application for good; its tokens become invalid, its tenant's libraries stay.

    ``name`` is the application's name or access key. Raises InvalidArgument if there is none.
    """
    application = find_application(applications, name)
    applications.remove_application(application.access_key)
    return application


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _free_app_id(applications: Applications) -> str:
    while True:
        app_id = str(100_000_000 + secrets.randbelow(900_000_000))
        if applications.application_by_id(app_id) is None:
            return app_id
