"""What the server and its workers say to each other arrives as it was sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.geometry import Agreement, Box, GeometricMatch
from lookalike.domain.library import Identity, Kind, Library
from lookalike.domain.picture import NO_METADATA, Decoded, Key
from lookalike.domain.search import Candidate, Found, LookTaken, TagFilter
from lookalike.limits.call import Call, Job, processors
from lookalike.ports import Looking
from lookalike.server.workers.frames import LostError, is_readable, receive_frame, send_frame
from lookalike.server.workers.messages import Answer, Question, pack_candidates, unpack_candidates
from lookalike.server.workers.plain import from_plain, to_plain

TEXTS = st.text(st.characters(codec=None), max_size=20)  # lone surrogates, too: of text that was damaged
SHARES = st.floats(0, 1)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, lambda some: st.lists(some, max_size=4))
CANDIDATES = st.builds(
    Candidate,
    st.builds(Key, TEXTS, TEXTS),
    st.just(0),
    st.just(0),
    TEXTS,
    TEXTS,
    st.floats(-1, 1),
    st.just(NO_METADATA),
)
BOXES = st.builds(Box, SHARES, SHARES, SHARES, SHARES)
SOME_BOXES = st.lists(BOXES, max_size=2).map(tuple)
AGREEMENTS = st.builds(
    Agreement, SHARES, SHARES, SHARES, SHARES, SHARES, SOME_BOXES, SOME_BOXES, st.integers(0, 400), SHARES
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
MATCHES = st.builds(
    GeometricMatch,
    SHARES,
    st.integers(0, 500),
    st.floats(-1, 1),
    st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    BOXES,
    st.none() | AGREEMENTS,
    st.booleans(),
)
LOOKS = st.builds(LookTaken, TEXTS, st.integers(0, 9), SHARES, SHARES, SHARES, SHARES)
LIBRARIES = st.builds(
    Library,
    TEXTS,
    TEXTS,
    TEXTS,
    st.sampled_from(Kind),
    st.sampled_from(Identity),
    st.integers(0, 2**50),
    st.none() | st.integers(0, 10**9),
)
WORDS = st.frozensets(TEXTS, max_size=3)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


@st.composite
def all_found(draw: st.DrawFn) -> tuple[Found, list[Candidate]]:
    """What a worker may find, and what the index has told it: some of it twice, and not all of what is found."""
    told = draw(st.lists(CANDIDATES, max_size=6))
    known = draw(st.lists(CANDIDATES, max_size=2))
    candidates = {one.key: one for one in draw(st.permutations([*told, *known]))}
    keys = st.lists(st.sampled_from(sorted(candidates, key=str)), unique=True) if candidates else st.just([])
    verified = draw(st.none() | keys.flatmap(lambda some: st.fixed_dictionaries(dict.fromkeys(some, MATCHES))))
    looks = tuple(draw(st.lists(LOOKS, max_size=2)))
    return Found(candidates, frozenset(draw(keys)), verified, draw(st.booleans()), looks), told


@given(content=JSON, data=st.binary(max_size=200_000))
def test_frames_arrive_as_they_were_sent_one_after_the_other(content: object, data: bytes) -> None:
    first, second = socket.socketpair()
    with first, second:
        sending = threading.Thread(target=send_frame, args=(first, content, data))
        sending.start()
        received, behind = receive_frame(second)
        assert (received, bytes(behind)) == (content, data)
        sending.join()
        send_frame(first, "next")
        assert receive_frame(second)[0] == "next"


def test_a_large_picture_fits_into_a_frame(ends: tuple[socket.socket, socket.socket]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, 4096 * 1024 * 3, np.uint8)
    sending = threading.Thread(target=send_frame, args=(ends[0], ["find"], pixels.data))
    sending.start()
    content, data = receive_frame(ends[1])
    assert (content, bytes(data)) == (["find"], pixels.tobytes())
    sending.join()


@pytest.mark.parametrize("sent", [b"", b"\0\0\0", b"\0\0\0\2\0\0\0\0[", b"\0\0\0\1\0\0\0\0[", b"\0\0\0\1\0\0\0\0\xff"])
def test_a_frame_that_is_cut_or_none_says_that_the_other_side_is_lost(
    ends: tuple[socket.socket, socket.socket], sent: bytes
) -> None:
    ends[0].sendall(sent)
    ends[0].close()
    with pytest.raises(LostError):
        receive_frame(ends[1])


def test_sending_to_nobody_says_that_the_other_side_is_lost(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].close()
    with pytest.raises(LostError):
        send_frame(ends[0], "anybody", bytes(1_000_000))


def test_what_was_sent_is_seen_and_so_is_the_end(ends: tuple[socket.socket, socket.socket]) -> None:
    assert not is_readable(ends[1], 0)
    send_frame(ends[0], "x")
    assert is_readable(ends[1], 0)
    receive_frame(ends[1])
    assert not is_readable(ends[1], 0)
    ends[0].close()
    assert is_readable(ends[1], 0)


@given(st.lists(CANDIDATES, max_size=8))
def test_candidates_arrive_as_they_were_sent(candidates: list[Candidate]) -> None:
    assert unpack_candidates(pack_candidates(candidates)) == candidates


def test_of_candidates_only_what_a_worker_needs_arrives() -> None:
    sent = Candidate(Key("l", "i"), 7, 8, "d", "l/i/8-f", 0.5, replace(NO_METADATA, brief="b"))
    assert unpack_candidates(pack_candidates([sent])) == [replace(sent, revision=0, added=0, metadata=NO_METADATA)]


@given(all_found())
def test_what_was_found_arrives_with_the_servers_own_candidates(made: tuple[Found, list[Candidate]]) -> None:
    found, told = made
    answer = from_plain(Answer, to_plain(Answer.of(found, {id(one): number for number, one in enumerate(told)})))
    own = [replace(one, revision=9) for one in told]
    arrived = answer.found(own)
    assert arrived.exact == found.exact
    assert arrived.verified == found.verified
    assert (arrived.settled, arrived.looks) == (found.settled, found.looks)
    assert list(arrived.candidates) == list(found.candidates)
    by_id = {id(one): number for number, one in enumerate(told)}
    for key, one in found.candidates.items():
        assert arrived.candidates[key] == (own[by_id[id(one)]] if id(one) in by_id else one)


@given(
    st.lists(LIBRARIES, min_size=1, max_size=3),
    st.none() | st.builds(TagFilter, WORDS, WORDS, WORDS),
    st.integers(1, 9),
    st.integers(1, 9),
    st.none() | TEXTS,
)
def test_a_question_arrives_with_its_picture(
    libraries: list[Library], tags: TagFilter | None, height: int, width: int, hidden: str | None
) -> None:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    picture = Decoded(pixels, "a" * 64, "b" * 64, "JPEG", hidden)
    looking = Looking(Job("t", Call(), processors()), libraries, 302, tags, picture, lambda _: [], lambda _: Found())
    question = from_plain(Question, to_plain(Question.of(looking)))
    assert question == Question.of(looking)
    arrived = question.picture(bytearray(pixels.tobytes()))
    assert np.array_equal(arrived.pixels, pixels)
    assert not arrived.pixels.flags.writeable
    assert (arrived.digest, arrived.file_digest, arrived.format, arrived.hidden) == ("a" * 64, "b" * 64, "JPEG", hidden)
    assert (question.tenant, question.libraries, question.depth, question.tags) == ("t", tuple(libraries), 302, tags)


def test_a_picture_is_sent_as_small_as_it_is_looked_at_and_keeps_its_digests() -> None:
    picture = Decoded(np.zeros((40, 50, 3), np.uint8), "a" * 64, "b" * 64, "JPEG")
    looking = Looking(Job("t", Call(), processors()), (), 1, None, picture, lambda _: [], lambda _: Found())
    assert looking.reduced() is looking
    sent = replace(looking, seen=lambda pixels: pixels[:4, :5]).reduced()
    assert sent.picture.pixels.shape == (4, 5, 3)
    assert (sent.picture.digest, sent.picture.file_digest) == ("a" * 64, "b" * 64)
    assert sent.reduced() is sent


def test_numbers_of_numpy_are_plain_and_other_values_are_refused() -> None:
    look = LookTaken("whole", 1, np.float64(0.1), np.float32(0.5))  # type: ignore[arg-type]  # as NumPy's code may have it
    assert from_plain(LookTaken, to_plain(look)) == LookTaken("whole", 1, 0.1, 0.5)
    with pytest.raises(TypeError):
        from_plain(bytes, "x")
    with pytest.raises((TypeError, ValueError)):
        from_plain(Box, [1.0, 2.0])
