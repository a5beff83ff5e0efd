"""Records of pairs: read as they were written, and as another version has written them."""

from __future__ import annotations

import json

from lookalike.domain.duplicates import Cluster, End, Level, Pair
from lookalike.domain.geometry import WHOLE, Agreement, Box, GeometricMatch
from lookalike.domain.record import Record
from lookalike.service.duplicate_records import (
    MAX_CLUSTER,
    MAX_CLUSTER_BODY,
    cluster_pairs,
    cluster_record,
    pair_key,
    pair_of,
    pair_record,
)

AGREEMENT = Agreement(
    0.9, 0.8, 0.1, 0.0, 0.2, regions=(Box(0.1, 0.2, 0.3, 0.4),), recoloured_regions=(WHOLE,), blocks=9
)
PROOF = GeometricMatch(0.99, 30, 0.9, (1.0, 0.0, 0.1, 0.0, 1.0, 0.2), WHOLE, AGREEMENT, inverted=True)
PAIR = Pair(End("a/é\0", 1, 10, 20, 30), End("b", 2), Level.SAME, 0.9, 0.98, PROOF, turned=True)


def test_a_pair_is_read_as_it_was_written() -> None:
    assert pair_of(pair_record("uid", PAIR)) == PAIR
    bare = Pair(End("a", 1), End("b", 2), Level.IDENTICAL, 1.0, 1.0)
    assert pair_of(pair_record("uid", bare)) == bare


def test_fields_of_another_version_are_no_hindrance() -> None:
    record = pair_record("uid", PAIR)
    said = json.loads(record.body)
    said[5]["later"] = said[5]["agreement"]["later"] = 1
    del said[5]["agreement"]["blocks"]
    read = pair_of(Record(record.partition, record.key, json.dumps(said)))
    assert read.proof is not None
    assert read.proof.agreement is not None
    assert read.proof.agreement.blocks == 0


def test_two_pictures_have_one_key() -> None:
    assert pair_key("a", "b") == pair_key("b", "a")
    assert pair_key("a", "b\0c") != pair_key("a\0b", "c")


def test_a_cluster_finds_room_in_a_record() -> None:
    names = [f"{number:0512d}" for number in range(MAX_CLUSTER + 50)]
    pairs = tuple(Pair(End(names[0], 1), End(name, 2), Level.SAME, 0.9, 0.9, PROOF) for name in names[1:])
    record = cluster_record("partition", 7, Cluster(tuple(names), pairs))
    assert len(record.body) <= MAX_CLUSTER_BODY * 1.01
    kept = cluster_pairs(record)
    assert 1 < len({id_ for pair in kept for id_ in pair.ids}) <= MAX_CLUSTER
