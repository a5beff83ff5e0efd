"""A library's whole life against a model of a few lines: whatever the order of calls, both say the same."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from PIL import Image

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Metadata, MetadataChange, sign_of
from lookalike.domain.search import TagFilter
from lookalike.errors import PictureExists, PictureNotFound
from lookalike.imaging.decode import Bounds
from lookalike.service import picture_image
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.libraries import find_library
from lookalike.service.purge import purge
from lookalike.service.restore import restore
from lookalike.service.search import Search, search
from lookalike.service.update import Update, update
from tests.support.examples import examples
from tests.support.fakes import MemoryCatalog, MemoryIndex, MemoryMaps, MemoryOriginals, SetClock, memory_ports

BOUNDS = Bounds(max_bytes=1 << 20, min_side=1, max_side=64, max_pixels=4096, formats=frozenset({"PNG", "BMP"}))
LIBRARY_REF = LibraryRef("tenant", "same_hq", Kind.SAME)
DAY = 86_400_000


def file(number: int, form: str) -> bytes:
    """A picture for each number, as a file of either format: its pixels are the same in both."""
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


@dataclass
class Kept:
    """What the model knows of one picture."""

    brief: str
    tags: tuple[str, ...]


numbers = st.integers(0, 4)
forms = st.sampled_from(["PNG", "BMP"])
briefs = st.sampled_from(["a", "b", "书"])
tag_sets = st.sampled_from([(), ("1",), ("1", "2"), ("3",)])


class LibraryLife(RuleBasedStateMachine):
    """Adds, replaces, updates, deletes, restores, searches and purges; time passes."""

    signs = Bundle("signs")

    @initialize()
    def begin(self) -> None:
        self.catalog, self.index = MemoryCatalog(), MemoryIndex()
        self.originals, self.maps, self.clock = MemoryOriginals(), MemoryMaps(), SetClock(1_000 * DAY)
        self.ports = memory_ports(
            catalog=self.catalog, index=self.index, originals=self.originals, maps=self.maps, clock=self.clock
        )
        self.live: dict[int, Kept] = {}
        self.deleted: dict[int, tuple[Kept, int]] = {}  # with the time of their deletion

    def forget(self, number: int) -> None:
        """It is deleted."""
        self.deleted[number] = self.live.pop(number), self.clock.now

    def may_be_purged(self, number: int) -> bool:
        return self.deleted[number][1] < self.clock.now - 7 * DAY

    @rule(target=signs, number=numbers, form=forms, brief=briefs, tags=tag_sets)
    def add(self, number: int, form: str, brief: str, tags: tuple[str, ...]) -> tuple[int, str]:
        command = Add(LIBRARY_REF, Source(BOUNDS, data=file(number, form)), metadata=Metadata(brief=brief, tags=tags))
        try:
            sign = sign_of(add(self.ports, command).digest)
            assert number not in self.live
            self.live[number] = Kept(brief, tags)
            self.deleted.pop(number, None)
        except PictureExists as error:
            assert number in self.live
            sign = sign_of(error.name)
        return number, sign

    @rule(target=signs, number=numbers, form=forms, brief=briefs, tags=tag_sets)
    def replace(self, number: int, form: str, brief: str, tags: tuple[str, ...]) -> tuple[int, str]:
        source = Source(BOUNDS, data=file(number, form))
        added = add(self.ports, Add(LIBRARY_REF, source, Metadata(brief=brief, tags=tags), replace=True))
        self.live[number] = Kept(brief, tags)
        self.deleted.pop(number, None)
        assert self.originals.files[added.object_key] == file(number, form)
        return number, sign_of(added.digest)

    @rule(known=signs)
    def restore(self, known: tuple[int, str]) -> None:
        number, sign = known
        library = find_library(self.ports, "tenant", "same_hq")
        try:
            restored = restore(self.ports, library, sign)
        except PictureNotFound:
            assert number not in self.live
            assert number not in self.deleted or self.may_be_purged(number)
            return
        if number not in self.live:
            self.live[number], _ = self.deleted.pop(number)
        kept = self.live[number]
        assert (restored.metadata.brief, restored.metadata.tags) == (kept.brief, kept.tags)

    @rule(known=signs, brief=st.none() | briefs, tags=st.none() | tag_sets)
    def update(self, known: tuple[int, str], brief: str | None, tags: tuple[str, ...] | None) -> None:
        number, sign = known
        change: MetadataChange = {}
        if brief is not None:
            change["brief"] = brief
        if tags is not None:
            change["tags"] = tags
        try:
            update(self.ports, Update(LIBRARY_REF, sign, change))
        except PictureNotFound:
            assert number not in self.live
            return
        kept = self.live[number]
        self.live[number] = Kept(
            kept.brief if brief is None else brief,
            kept.tags if tags is None else tags,
        )

    @rule(number=numbers, form=forms)
    def delete_by_picture(self, number: int, form: str) -> None:
        try:
            assert delete(self.ports, Delete(LIBRARY_REF, Source(BOUNDS, data=file(number, form)))) == 1
            self.forget(number)
        except PictureNotFound:
            assert number not in self.live

    @rule(known=st.lists(signs, min_size=1, max_size=4))
    def delete_by_signs(self, known: list[tuple[int, str]]) -> None:
        meant = {number for number, _ in known} & set(self.live)
        try:
            assert delete(self.ports, Delete(LIBRARY_REF, tuple(sign for _, sign in known))) == len(meant)
        except PictureNotFound:
            assert not meant
        for number in meant:
            self.forget(number)

    @rule(number=numbers, form=forms, tags=st.none() | st.sampled_from(["1", "2", "3"]))
    def search(self, number: int, form: str, tags: str | None) -> None:
        wanted = None if tags is None else TagFilter(frozenset({tags}))
        found = search(self.ports, Search(LIBRARY_REF, Source(BOUNDS, data=file(number, form)), tags=wanted)).matches
        passing = number in self.live and (tags is None or tags in self.live[number].tags)
        assert [match.score for match in found if match.score == 1] == ([1.0] if passing else [])
        if passing:
            assert found[0].candidate.metadata.brief == self.live[number].brief
            assert found[0].candidate.metadata.tags == self.live[number].tags

    @rule(days=st.sampled_from([0.001, 3, 8]))
    def time_passes(self, days: float) -> None:
        self.clock.now += int(days * DAY)

    @rule()
    def purge(self) -> None:
        assert purge(self.ports, lambda: True).done
        self.deleted = {number: one for number, one in self.deleted.items() if not self.may_be_purged(number)}

    @rule(steps=st.integers(0, 1))
    def purge_that_is_cut_short(self, steps: int) -> None:
        left = iter([True] * steps)
        purge(self.ports, lambda: next(left, False))

    @rule(known=signs, deleted=st.booleans())
    def look(self, known: tuple[int, str], deleted: bool) -> None:
        number, sign = known
        library = self.catalog.library("tenant", "same_hq")
        assert library is not None
        try:
            thumb = picture_image.ImageSize.THUMB
            seen = picture_image.picture_image(self.ports, library, sign, thumb, deleted=deleted)
        except PictureNotFound:
            assert number not in self.live
            return
        assert number in self.live or deleted
        assert Image.open(io.BytesIO(seen.data)).size == (16, 16)

    @invariant()
    def what_is_live_is_the_same_everywhere(self) -> None:
        library = self.catalog.library("tenant", "same_hq")
        if library is None:
            assert not self.live
            return
        rows = [row for row in self.catalog.rows.values() if row.live]
        assert len(rows) == len(self.live) == self.index.count(library.uid)
        assert {self.index.rows[row.key].revision for row in rows} == {row.revision for row in rows}

    @invariant()
    def every_row_has_its_own_original_and_map_and_nothing_else_is_kept(self) -> None:
        keys = {row.object_key for row in self.catalog.rows.values()}
        assert {key.removesuffix(".thumb") for key in self.originals.files} == keys
        assert keys <= set(self.originals.files)
        assert set(self.maps.files) == keys


LibraryLife.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=50)
test_library_life = LibraryLife.TestCase
