"""What a sweep keeps: pairs, clusters, what was marked as not the same, and how far it came. All of it by library uid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

from lookalike.domain.duplicates import Cluster, End, Level, Pair, connected_first
from lookalike.domain.geometry import Agreement, Box, GeometricMatch
from lookalike.domain.record import Record

#: Characters of a cluster's record at most: DynamoDB takes items of 400 kB.
MAX_CLUSTER_BODY = 200_000

#: Pictures of a cluster that are kept, those with the nearest pairs; the next sweep shows others in the place of those
#: that are gone.
MAX_CLUSTER = 200

#: Key of a library's one record of its last sweep.
STATE_KEY = "state"


@dataclass(frozen=True, slots=True)
class SweepState:
    """What is known of a library since its last sweep.

    Pictures with a revision of ``swept`` and more, Unix milliseconds, were not compared yet, except by the sweep that wrote
    this. ``judge`` names the model and the rules. ``generation`` names the clusters that are shown; ``marked`` is the time up to which
    they know what is not the same. ``job`` wrote them, at ``finished``. ``counts`` are clusters by level.
    """

    swept: int
    judge: str
    generation: str
    marked: int
    job: str
    finished: int
    counts: dict[str, int] = field(default_factory=dict)


def pairs_partition(uid: str) -> str:
    """Partition of a library's pairs."""
    return f"pairs/{uid}"


def marks_partition(uid: str) -> str:
    """Partition of what was marked as not the same in a library."""
    return f"marks/{uid}"


def sweep_partition(uid: str) -> str:
    """Partition of the record of a library's last sweep."""
    return f"sweep/{uid}"


def clusters_partition(uid: str, generation: str, level: Level) -> str:
    """Partition of the clusters of a level, as a sweep found them."""
    return f"clusters/{uid}/{generation}/{level}"


def pair_record(uid: str, pair: Pair) -> Record:
    """Return the record of a pair; two pictures have one key, whichever comes first."""
    return Record(pairs_partition(uid), pair_key(*pair.ids), json.dumps(_pair_json(pair)))


def pair_key(one: str, other: str) -> str:
    """Return the key of two pictures' pair: ids may be longer than a key."""
    return hashlib.sha256(json.dumps(sorted((one, other))).encode()).hexdigest()[:40]


def pair_of(record: Record) -> Pair:
    """Return a record's pair."""
    return _pair_of(json.loads(record.body))


def cluster_record(partition: str, number: int, cluster: Cluster) -> Record:
    """Return the record of a cluster: as many of its pairs as find room, first those that hold it together."""
    ids: set[str] = set()
    kept: list[str] = []
    size = 0
    for pair in connected_first(cluster.pairs):
        body = json.dumps(_pair_json(pair))
        if len(ids.union(pair.ids)) > MAX_CLUSTER or size + len(body) > MAX_CLUSTER_BODY:
            continue
        ids.update(pair.ids)
        size += len(body)
        kept.append(body)
    return Record(partition, f"{number:08d}", f"[{','.join(kept)}]")


def cluster_pairs(record: Record) -> list[Pair]:
    """Return the pairs of a cluster's record."""
    return [_pair_of(said) for said in json.loads(record.body)]


def state_record(uid: str, state: SweepState, revision: int) -> Record:
    """Return the record of a library's last sweep."""
    return Record(sweep_partition(uid), STATE_KEY, json.dumps(asdict(state)), revision)


def state_of(record: Record) -> SweepState:
    """Return a record's state."""
    return SweepState(**json.loads(record.body))


def mark_record(uid: str, now: int, ends: Iterable[tuple[str, int]]) -> Record:
    """Return the record that pictures, by id and the revision of their add, are not the same as each other."""
    body = json.dumps(sorted(ends))
    return Record(marks_partition(uid), f"{now:013d}-{mark_digest(body)}", body)


def mark_digest(body: str) -> str:
    """Return what the key of a mark ends in: the same for the same pictures."""
    return hashlib.sha256(body.encode()).hexdigest()[:32]


class Marks:
    """What was marked as not the same.

    Parameters
    ----------
    records : the marks.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._numbers: dict[tuple[str, int], set[int]] = {}
        for number, record in enumerate(records):
            for id_, added in json.loads(record.body):
                self._numbers.setdefault((id_, added), set()).add(number)

    def holds(self, pair: Pair) -> bool:
        """Whether a mark names both pictures, as they are now: a picture that was replaced is another one."""
        older, newer = ((end.id, end.added) for end in (pair.older, pair.newer))
        return not self._numbers.get(older, set()).isdisjoint(self._numbers.get(newer, ()))


def _pair_json(pair: Pair) -> list[Any]:
    proof = None if pair.proof is None else astuple(pair.proof)
    return [astuple(pair.older), astuple(pair.newer), pair.level, pair.cosine, pair.score, proof, pair.turned]


def _pair_of(said: Sequence[Any]) -> Pair:
    older, newer, level, cosine, score, proof, turned = said
    return Pair(End(*older), End(*newer), Level(level), cosine, score, _proof_of(proof), turned)


def _proof_of(said: Sequence[Any] | None) -> GeometricMatch | None:
    if said is None:
        return None
    probability, inliers, correlation, transform, region, agreement, inverted = said
    return GeometricMatch(
        probability, inliers, correlation, tuple(transform), Box(*region), _agreement_of(agreement), inverted
    )


def _agreement_of(said: Sequence[Any] | None) -> Agreement | None:
    if said is None:
        return None
    # Records of the version before end with the difference of colours.
    share, weakest, recoloured, hue_turned, noise, regions, recoloured_regions, blocks, difference, *concentration = (
        said
    )
    return Agreement(
        share,
        weakest,
        recoloured,
        hue_turned,
        noise,
        tuple(Box(*box) for box in regions),
        tuple(Box(*box) for box in recoloured_regions),
        blocks,
        difference,
        *concentration,
    )
