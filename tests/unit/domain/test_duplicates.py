"""Laws of clusters: nested partitions of the pictures, which depend on nothing but the pairs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.duplicates import Cluster, End, Level, Pair, clusters, connected_first


def a_pair(one: str, other: str, level: Level = Level.SAME, cosine: float = 0.8) -> Pair:
    return Pair(End(one, 1), End(other, 2), level, cosine, score=cosine)


@st.composite
def sets_of_pairs(draw: st.DrawFn) -> list[Pair]:
    """Pairs of up to ten pictures, each pair once."""
    names = "abcdefghij"[: draw(st.integers(2, 10))]
    drawn = draw(st.lists(st.sampled_from(list(combinations(names, 2))), unique=True, max_size=30))
    cosines = st.sampled_from([0.5, 0.6, 0.7, 0.8])
    return [a_pair(*ends, draw(st.sampled_from(Level)), draw(cosines)) for ends in drawn]


def sets_of(found: Sequence[Cluster]) -> set[frozenset[str]]:
    return {frozenset(cluster.ids) for cluster in found}


@given(sets_of_pairs())
def test_clusters_are_a_partition(pairs: list[Pair]) -> None:
    for level in Level:
        found = clusters(pairs, level)
        ids = [id_ for cluster in found for id_ in cluster.ids]
        assert len(ids) == len(set(ids))
        assert all(len(cluster.ids) > 1 for cluster in found)
        for cluster in found:
            assert {id_ for pair in cluster.pairs for id_ in pair.ids} == set(cluster.ids)
            assert all(pair.level in level.includes for pair in cluster.pairs)


@given(sets_of_pairs())
def test_levels_are_nested(pairs: list[Pair]) -> None:
    levels = [sets_of(clusters(pairs, level)) for level in Level]
    for finer, coarser in pairwise(levels):
        assert all(any(one <= other for other in coarser) for one in finer)


@given(sets_of_pairs(), st.randoms())
def test_the_order_of_pairs_does_not_matter(pairs: list[Pair], chance: random.Random) -> None:
    shuffled = chance.sample(pairs, len(pairs))
    for level in Level:
        assert clusters(shuffled, level) == clusters(pairs, level)


@given(sets_of_pairs())
def test_what_is_proved_is_together_and_nothing_else(pairs: list[Pair]) -> None:
    """Identical and same are the components of their pairs, as a plain search of the graph finds them."""
    for level in (Level.IDENTICAL, Level.SAME):
        edges = [set(pair.ids) for pair in pairs if pair.level in level.includes]
        components: list[set[str]] = []
        for edge in edges:
            touched = [one for one in components if one & edge]
            components = [one for one in components if not one & edge] + [edge.union(*touched)]
        assert sets_of(clusters(pairs, level)) == {frozenset(one) for one in components}


@given(sets_of_pairs())
def test_a_similar_cluster_is_linked_by_half_wherever_it_was_joined(pairs: list[Pair]) -> None:
    """Whatever joins it last had links to half of it: so no picture hangs on with less than half of a half."""
    for cluster in clusters(pairs, Level.SIMILAR):
        if all(pair.level is Level.SIMILAR for pair in cluster.pairs) and len(cluster.ids) > 2:
            assert len(cluster.pairs) >= len(cluster.ids) - 1
            possible = len(cluster.ids) * (len(cluster.ids) - 1) / 2
            assert len(cluster.pairs) >= possible / 2


def test_similar_does_not_chain() -> None:
    chain = [a_pair(one, other, Level.SIMILAR) for one, other in ("ab", "bc", "cd", "de", "ef")]
    assert max(len(cluster.ids) for cluster in clusters(chain, Level.SIMILAR)) <= 3
    star = [a_pair("hub", name, Level.SIMILAR) for name in "abcdef"]
    assert max(len(cluster.ids) for cluster in clusters(star, Level.SIMILAR)) <= 3
    everyone = [a_pair(one, other, Level.SIMILAR) for one, other in combinations("abcdef", 2)]
    assert sets_of(clusters(everyone, Level.SIMILAR)) == {frozenset("abcdef")}


@given(sets_of_pairs())
def test_the_first_pairs_hold_a_cluster_together(pairs: list[Pair]) -> None:
    for cluster in clusters(pairs, Level.SAME):
        ordered = list(connected_first(cluster.pairs))
        assert sorted(ordered, key=lambda pair: pair.rank) == sorted(cluster.pairs, key=lambda pair: pair.rank)
        assert sets_of(clusters(ordered[: len(cluster.ids) - 1], Level.SAME)) == {frozenset(cluster.ids)}
