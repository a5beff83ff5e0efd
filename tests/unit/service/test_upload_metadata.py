"""An upload's metadata: its limits, and the digest that records keep of it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from lookalike.domain.library import Kind
from lookalike.domain.picture import Metadata
from lookalike.domain.upload import UploadedObject
from lookalike.errors import ArgumentTooLong
from lookalike.service.upload_metadata import MAX_BYTES, metadata_digest, metadata_of
from lookalike.wire.baidu import limits as baidu
from lookalike.wire.jumdata import limits as jumdata
from lookalike.wire.qiniu import limits as qiniu

KEY = "uploads/10000001/shop/a.png"
LIMITS = [baidu.METADATA_BYTES, qiniu.METADATA_BYTES, jumdata.METADATA_BYTES]


def parsed(**words: str) -> Metadata:
    return metadata_of(KEY, Kind.SIMILAR, UploadedObject("etag", 1, words))


def test_an_upload_takes_whatever_any_dialect_takes() -> None:
    widest = {name: max(limits.get(name, 0) for limits in LIMITS) for name in ("brief", "label", "desc")}
    assert {name: most for name, most in MAX_BYTES.items() if name != "tags"} == widest
    assert widest["label"] == 512
    assert MAX_BYTES.keys() == {field.name for field in fields(Metadata)} - {"old_sign"}, "no upload says that"


@pytest.mark.parametrize("name", ["brief", "label", "desc"])
def test_the_longest_text_is_taken_and_a_longer_one_refused(name: str) -> None:
    filling = MAX_BYTES[name] - 2
    longest = '"' + "é" * (filling // 2) + '"'  # text for all, and JSON for desc
    assert len(longest.encode()) == MAX_BYTES[name]
    assert getattr(parsed(**{name: longest}), name) == longest
    with pytest.raises(ArgumentTooLong, match=f"{name}: more than {MAX_BYTES[name]} bytes"):
        parsed(**{name: longest + "x"})


def test_digests_that_uploads_records_hold_stay_valid() -> None:
    assert metadata_digest(Metadata()) == "ab5a4bf742370375"
    assert metadata_digest(Metadata("b", "l", "{}", ("1", "2"))) == "ab25113fb731eaca"
