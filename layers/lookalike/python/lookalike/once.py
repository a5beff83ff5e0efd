"""A property that is computed once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self, TypeVar, overload

T = TypeVar("T")


class once(cached_property[T]):  # noqa: N801 - read as the decorator that it is
    """A ``cached_property`` that several threads may ask for: one computes it, and the others wait.

    An exception is not remembered: the next access tries again.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        super().__init__(compute)
        self._computing = threading.RLock()

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Self | T:
        with self._computing:  # from then on, the value is found in the instance without coming here
            return super().__get__(instance, owner)
