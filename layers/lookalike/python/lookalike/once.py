"""A cached property for several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self, TypeVar, overload

T = TypeVar("T")


class once(cached_property[T]):  # noqa: N801 - read as the decorator that it is
    """A ``cached_property`` that one thread computes while the others wait. An exception is not cached.

    :class:`functools.cached_property` has had no lock since Python 3.12. The lock is one for all instances of the class
    that has the property.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        super().__init__(compute)
        self._computing = threading.RLock()

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Self | T:
        with self._computing:  # once computed, the instance's own attribute is found without this call
            return super().__get__(instance, owner)
