"""Every method of every port is abstract, so that an adapter without one is refused: by mypy, and when it is made."""

from __future__ import annotations

import inspect
from typing import Protocol

import pytest

from lookalike import ports
from tests.support.fakes import MemoryCatalog

PORTS = [
    value
    for value in vars(ports).values()
    if inspect.isclass(value)
    and value.__module__.startswith(f"{ports.__name__}.")
    and getattr(value, "_is_protocol", False)
]


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_every_method_of_a_port_is_abstract(port: type) -> None:
    said = {
        name
        for base in port.__mro__
        if base not in (object, Protocol) and base.__module__.startswith(f"{ports.__name__}.")
        for name, value in vars(base).items()
        if (inspect.isfunction(value) or isinstance(value, property)) and (name == "__call__" or name[0] != "_")
    }
    assert said
    assert said == port.__abstractmethods__  # type: ignore[attr-defined]


def test_a_catalog_that_lacks_a_method_cannot_be_made() -> None:
    lacking = type("Lacking", (ports.Catalog,), {k: v for k, v in vars(MemoryCatalog).items() if k != "forget_library"})
    with pytest.raises(TypeError, match="forget_library"):
        lacking()
