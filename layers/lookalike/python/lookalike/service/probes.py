"""Whether the stores answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from enum import StrEnum

from lookalike.ports import Ports


class Store(StrEnum):
    """The stores that an answer needs."""

    CATALOG = "catalog"
    INDEX = "index"
    ORIGINALS = "originals"

    @property
    def words(self) -> str:
        """The store's name within a sentence."""
        return "the store of originals" if self is Store.ORIGINALS else f"the {self}"


#: The cheapest query of each store, for something that does not exist.
PROBES: Mapping[Store, Callable[[Ports], object]] = {
    Store.CATALOG: lambda ports: ports.catalog.library("-", "-"),
    Store.INDEX: lambda ports: ports.index.count("-"),
    Store.ORIGINALS: lambda ports: ports.originals.get("-/-/0-0"),
}


def failing_stores(ports: Ports, seconds: float) -> Sequence[Store]:
    """Ask all stores at once; return those that do not answer within so many seconds, or answer with an error."""
    pool = ThreadPoolExecutor(len(PROBES), thread_name_prefix="probes")
    asked = {store: pool.submit(query, ports) for store, query in PROBES.items()}
    late = wait(asked.values(), seconds).not_done
    pool.shutdown(wait=False)
    return [store for store, answer in asked.items() if answer in late or answer.exception() is not None]
