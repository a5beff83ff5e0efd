"""The JSON that the native API answers with, and how it is made of pictures, libraries and matches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from lookalike.domain.geometry import WHOLE, Box, GeometricMatch
from lookalike.domain.library import Identity, Kind, Library
from lookalike.domain.overlap import overlap
from lookalike.domain.picture import Metadata, Picture, State, sign_of
from lookalike.domain.search import LookTaken, Match
from lookalike.ports import Ports
from lookalike.service.groups import name_of
from lookalike.wire import label_codec
from lookalike.wire.native import picture_path

Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]

Path: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]

Digest: TypeAlias = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{64}$"})]


def one_of(*values: str) -> Meta:
    """Return what the document says of a text that is one of few."""
    return Meta(extra_json_schema={"enum": list(values)})


BoxSaid: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom, as fractions of the upright picture."""

AffineSaid: TypeAlias = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): moves (x, y) of the query to (a·x + b·y + c, d·x + e·y + f) of the picture, both fractions."""


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all: members with nothing to say are left out."""


class LibrarySaid(Said, frozen=True, kw_only=True):
    """A library. ``pictures``: those that searches see."""

    name: str
    kind: Annotated[str, one_of(*Kind)]
    identity: Annotated[str, one_of(*Identity)]
    pictures: int
    capacity: int | UnsetType = UNSET
    created: Time


class LibrariesSaid(Said, frozen=True, kw_only=True):
    """All libraries of the caller, by name."""

    libraries: tuple[LibrarySaid, ...]


class PictureSaid(Said, frozen=True, kw_only=True):
    """A stored picture. ``self``: its path in this API; ``image``: that of its file. ``digest``: SHA-256 of its pixels."""

    library: str
    id: str
    path: Path = msgspec.field(name="self")
    image: Path
    cont_sign: str
    old_cont_sign: str = ""
    digest: Digest
    revision: int
    added: Time
    state: Annotated[str, one_of("live", "deleted", "damaged")]
    deleted: Time | UnsetType = UNSET
    brief: str = ""
    label: msgspec.Raw | UnsetType = UNSET
    desc: msgspec.Raw | UnsetType = UNSET
    tags: tuple[str, ...] = ()


class PicturesSaid(Said, frozen=True, kw_only=True):
    """A page of pictures. ``next`` is absent from the last one."""

    pictures: tuple[PictureSaid, ...]
    next: str = ""


class ProofSaid(Said, frozen=True, kw_only=True):
    """Why two pictures match: how the query lies on the picture, and how much agrees.

    ``region`` is the part of the picture that holds the inliers. Percentages are of areas: of the query that lies on the
    picture, and of the picture that the query covers. ``agreement`` is the share of the structure that agrees, of what
    could be compared; absent if nothing could. ``disagreeing`` and ``recoloured`` are regions of the picture.
    """

    probability: float
    inliers: int
    transform: AffineSaid
    region: BoxSaid
    mirrored: bool
    inverted: bool
    query_percent: float
    picture_percent: float
    agreement: float | UnsetType = UNSET
    recoloured_share: float | UnsetType = UNSET
    disagreeing: tuple[BoxSaid, ...] = ()
    recoloured: tuple[BoxSaid, ...] = ()


class MatchSaid(Said, frozen=True, kw_only=True):
    """A picture found. ``why``: identical, proved, or near. ``cosine`` is the raw one, of −1 to 1.

    ``example``: of several, the number of the one that the proof lies on; 0 is ``image``.
    """

    library: str
    id: str
    path: Path = msgspec.field(name="self")
    score: float
    cosine: float
    why: Annotated[str, one_of("identical", "proved", "near")]
    revision: int
    cont_sign: str
    old_cont_sign: str = ""
    brief: str = ""
    label: msgspec.Raw | UnsetType = UNSET
    desc: msgspec.Raw | UnsetType = UNSET
    tags: tuple[str, ...] = ()
    example: int = 0
    proof: ProofSaid | UnsetType = UNSET


class LookSaid(Said, frozen=True, kw_only=True):
    """A look that a search took at its query, and the milliseconds of its stages."""

    name: str
    views: int
    prepare_ms: float
    embed_ms: float
    search_ms: float
    verify_ms: float


class QuerySaid(Said, frozen=True, kw_only=True):
    """The query: its size in pixels, upright."""

    width: int
    height: int


class FoundSaid(Said, frozen=True, kw_only=True):
    """A page of matches, best first. ``next`` is absent from the last one."""

    query: QuerySaid | UnsetType = UNSET
    matches: tuple[MatchSaid, ...]
    next: str = ""
    took_ms: float
    model: str
    trace: tuple[LookSaid, ...] = ()


class CheckSaid(Said, frozen=True, kw_only=True):
    """Whether the library holds the very picture; if not, the nearest one."""

    held: bool
    picture: PictureSaid | UnsetType = UNSET
    nearest: MatchSaid | UnsetType = UNSET


class SameSaid(Said, frozen=True, kw_only=True):
    """Whether one picture is a copy of the other. ``proof`` is absent if nothing proves it."""

    score: float
    proof: ProofSaid | UnsetType = UNSET


class ComparedSaid(Said, frozen=True, kw_only=True):
    """What two pictures have in common, as a library of each kind would judge it."""

    identical: bool
    same: SameSaid
    similar: float
    product: float


class DaySaid(Said, frozen=True, kw_only=True):
    """Calls of a day, UTC. ``operations``: the same by what they do (add, search, update, delete, groups: all else)."""

    day: str
    calls: int
    operations: dict[str, int] = {}


class UsageSaid(Said, frozen=True, kw_only=True):
    """Calls by day, oldest first, and what the application may make. ``counted``: whether calls are counted now.

    While they are not, days without a count are absent: nobody knows whether there were calls.

    ``pictures`` that searches find in its libraries, absent if the index does not answer, and ``capacity``: how many these
    may hold together.
    """

    application: str
    app_id: str
    counted: bool
    days: tuple[DaySaid, ...]
    per_second: int | UnsetType = UNSET
    per_day: int | UnsetType = UNSET
    in_total: int | UnsetType = UNSET
    pictures: int | UnsetType = UNSET
    capacity: int | UnsetType = UNSET


class IndexSaid(Said, frozen=True, kw_only=True):
    """How the index is doing. What is not known is absent.

    ``pictures`` of the caller's are searchable. ``lag_seconds``: the age of the oldest write that the index lacks, and 0 if it
    lacks none, as of a few minutes ago; ``oldest_unindexed``: when that was made. ``dead_letters``: messages that could not be
    done, of the whole service. ``generations``: the index that each kind is searched in.
    """

    model: str
    pictures: int
    generations: dict[str, str] = {}
    lag_seconds: float | UnsetType = UNSET
    oldest_unindexed: Time | UnsetType = UNSET
    dead_letters: int | UnsetType = UNSET
    last_purge: Time | UnsetType = UNSET


class PictureLimitsSaid(Said, frozen=True, kw_only=True):
    """What a picture may be: bytes, pixels of a side, formats. ``max_upload_bytes``: bytes of one that is sent ahead."""

    max_bytes: int
    max_upload_bytes: int
    min_side: int
    max_side: int
    formats: tuple[str, ...]


class ServiceSaid(Said, frozen=True, kw_only=True):
    """What answers here. ``purge_after_days``: for how long what is deleted can be restored."""

    name: str
    version: str
    model: str
    pictures: PictureLimitsSaid
    purge_after_days: float
    openapi: str
    problems: str


class ProblemKindSaid(Said, frozen=True, kw_only=True):
    """A kind of problem."""

    code: str
    status: int
    title: str


class ProblemsSaid(Said, frozen=True, kw_only=True):
    """Every kind of problem."""

    problems: tuple[ProblemKindSaid, ...]


def library_said(ports: Ports, library: Library) -> LibrarySaid:
    """Return a library. Raises Unavailable if the index does not say how many pictures it holds."""
    return LibrarySaid(
        name=library.name,
        kind=library.kind.value,
        identity=library.identity.value,
        pictures=ports.index.count(library.uid),
        capacity=UNSET if library.capacity is None else library.capacity,
        created=time_said(library.created),
    )


def picture_said(library: Library, picture: Picture) -> PictureSaid:
    """Return a stored picture."""
    name, metadata = name_of(library, picture), picture.metadata
    path = picture_path.of(library.name, name)
    return PictureSaid(
        library=library.name,
        id=name,
        path=path,
        image=f"{path}/image?v={picture.added}",
        cont_sign=sign_of(picture.digest),
        old_cont_sign=metadata.old_sign,
        digest=picture.digest,
        revision=picture.revision,
        added=time_said(picture.added),
        state="live" if picture.live else "damaged" if picture.state is State.DAMAGED else "deleted",
        deleted=UNSET if picture.deleted_at is None else time_said(picture.deleted_at),
        brief=metadata.brief,
        label=_label_json(metadata),
        desc=_desc_json(metadata),
        tags=metadata.tags,
    )


def _label_json(metadata: Metadata) -> msgspec.Raw | UnsetType:
    return msgspec.Raw(label_codec.to_json(metadata.label).encode()) if metadata.label else UNSET


def _desc_json(metadata: Metadata) -> msgspec.Raw | UnsetType:
    return msgspec.Raw(metadata.desc.encode()) if metadata.desc else UNSET


#: Why a picture is in an answer, by the reason's name in the domain.
_WHY = {"EXACT": "identical", "VERIFIED": "proved", "VECTOR": "near"}


def match_said(library: Library, match: Match, *, explain: bool, box: Box = WHOLE) -> MatchSaid:
    """Return a picture found by the part of a query in the box; ``explain`` adds the proof, if there is one."""
    candidate, metadata = match.candidate, match.candidate.metadata
    name = name_of(library, candidate)
    proof = match.geometric_match if explain else None
    return MatchSaid(
        library=library.name,
        id=name,
        path=picture_path.of(library.name, name),
        score=match.score,
        cosine=max(-1.0, min(candidate.cosine, 1.0)),
        why=_WHY[match.reason.name],
        revision=candidate.revision,
        cont_sign=sign_of(candidate.digest),
        old_cont_sign=metadata.old_sign,
        proof=UNSET if proof is None else proof_said(proof, box),
        example=match.example,
        brief=metadata.brief,
        label=_label_json(metadata),
        desc=_desc_json(metadata),
        tags=metadata.tags,
    )


def proof_said(match: GeometricMatch, box: Box = WHOLE) -> ProofSaid:
    """Return why the query, or the part of it in the box, matches a picture."""
    covered = overlap(match, box)
    agreement = match.agreement
    return ProofSaid(
        probability=match.probability,
        inliers=match.inliers,
        transform=match.transform,
        region=_box_said(match.region),
        mirrored=match.mirrored,
        inverted=match.inverted,
        query_percent=covered.query_percent,
        picture_percent=covered.picture_percent,
        agreement=UNSET if agreement is None else agreement.share,
        recoloured_share=UNSET if agreement is None else agreement.recoloured,
        disagreeing=() if agreement is None else tuple(map(_box_said, agreement.regions)),
        recoloured=() if agreement is None else tuple(map(_box_said, agreement.recoloured_regions)),
    )


def look_said(look: LookTaken) -> LookSaid:
    """Return a look that a search took."""
    times = (look.prepare_ms, look.embed_ms, look.search_ms, look.verify_ms)
    prepare, embed, search, verify = (round(time, 1) for time in times)
    return LookSaid(
        name=look.name, views=look.views, prepare_ms=prepare, embed_ms=embed, search_ms=search, verify_ms=verify
    )


def time_said(milliseconds: int) -> str:
    """Return Unix milliseconds as RFC 3339 has them, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _box_said(box: Box) -> BoxSaid:
    return box.left, box.top, box.right, box.bottom
