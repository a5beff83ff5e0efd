"""Near-duplicates: pairs of pictures, and the clusters that they make at three levels.

The levels are nested. What is identical is the same, and what is the same is similar; so every cluster of a level lies in
one cluster of the next.

At ``identical`` and ``same`` a cluster is what pairs connect: union-find over them, and over nothing else. At ``similar``
that would chain: a beach is like a dune, and the dune is like a cat on sand. So there clusters are joined only if at least
half of the pairs between them are similar, the most similar pairs first (average linkage over the pairs found).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lookalike.domain.geometry import GeometricMatch

#: Share of the pairs between two clusters that are similar, from which on they are one.
MIN_LINKED_SHARE = 0.5


class Level(StrEnum):
    """How near two pictures are."""

    IDENTICAL = "identical"  #: the same pixels
    SAME = "same"  #: geometry proves that both show the same, and nothing disagrees
    SIMILAR = "similar"  #: near by their vectors; or proved, and something differs

    @property
    def includes(self) -> frozenset[Level]:
        """The levels of the pairs that connect pictures at this one."""
        levels = list(Level)
        return frozenset(levels[: levels.index(self) + 1])


@dataclass(frozen=True, slots=True)
class End:
    """A picture of a pair: its id, the revision of the add that stored its file, and the file's size.

    ``width`` and ``height`` are in pixels, upright; they and ``bytes`` are 0 where the original could not be read.
    """

    id: str
    added: int
    width: int = 0
    height: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that are near each other: ``older`` was added first. ``proof`` lays the newer one on the older one.

    ``level`` is the first of :class:`Level` that applies. ``score`` is in (0, 1], as searches have it. With ``turned``,
    the proof lays the older one on the newer one.
    """

    older: End
    newer: End
    level: Level
    cosine: float
    score: float
    proof: GeometricMatch | None = None
    turned: bool = False

    @property
    def ids(self) -> tuple[str, str]:
        """The pictures' ids."""
        return self.older.id, self.newer.id

    @property
    def rank(self) -> tuple[int, float, tuple[str, ...]]:
        """What pairs are sorted by, the nearest first. No two pairs have the same."""
        return list(Level).index(self.level), -self.cosine, tuple(sorted(self.ids))


@dataclass(frozen=True, slots=True)
class Cluster:
    """Pictures that belong together, by id, and the pairs among them, the nearest first."""

    ids: tuple[str, ...]
    pairs: tuple[Pair, ...]


def clusters(pairs: Iterable[Pair], level: Level) -> list[Cluster]:
    """Return the clusters of two pictures and more, those with the nearest pair first.

    They depend on nothing but the set of pairs.
    """
    ordered = sorted((pair for pair in pairs if pair.level in level.includes), key=lambda pair: pair.rank)
    groups = _Groups()
    for pair in ordered:
        if pair.level is not Level.SIMILAR:
            groups.join(*pair.ids)
    for pair in ordered:
        if pair.level is Level.SIMILAR:
            groups.link(*pair.ids)
    inside: dict[str, list[Pair]] = {}
    for pair in ordered:
        root = groups.find(pair.older.id)
        if root == groups.find(pair.newer.id):
            inside.setdefault(root, []).append(pair)
    return [Cluster(tuple(sorted(groups.members[root])), tuple(found)) for root, found in inside.items()]


def connected_first(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """Yield the pairs of a cluster, first those that connect all of it: a few that are kept leave it whole."""
    groups, others = _Groups(), []
    for pair in pairs:
        if groups.find(pair.older.id) == groups.find(pair.newer.id):
            others.append(pair)
        else:
            groups.join(*pair.ids)
            yield pair
    yield from others


class _Groups:
    """Union-find, which counts the links between groups that are not joined yet."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self.members: dict[str, list[str]] = {}
        self._links: dict[str, dict[str, int]] = {}

    def find(self, one: str) -> str:
        """Return the representative of one's group."""
        if one not in self._parents:
            self._parents[one] = one
            self.members[one] = [one]
        root = one
        while self._parents[root] != root:
            root = self._parents[root]
        while self._parents[one] != root:
            self._parents[one], one = root, self._parents[one]
        return root

    def join(self, one: str, other: str) -> None:
        """Make one group of both's."""
        into, gone = self.find(one), self.find(other)
        if into == gone:
            return
        if (len(self.members[into]), gone) < (len(self.members[gone]), into):
            into, gone = gone, into
        self._parents[gone] = into
        self.members[into] += self.members.pop(gone)
        for neighbour, count in self._links.pop(gone, {}).items():
            del self._links[neighbour][gone]
            if neighbour != into:
                self._add_links(into, neighbour, count)

    def link(self, one: str, other: str) -> None:
        """Count a link between both's groups, and join them if enough of what lies between them is linked."""
        first, second = self.find(one), self.find(other)
        if first == second:
            return
        self._add_links(first, second, 1)
        possible = len(self.members[first]) * len(self.members[second])
        if self._links[first][second] >= MIN_LINKED_SHARE * possible:
            self.join(first, second)

    def _add_links(self, one: str, other: str, count: int) -> None:
        for first, second in ((one, other), (other, one)):
            links = self._links.setdefault(first, {})
            links[second] = links.get(second, 0) + count
