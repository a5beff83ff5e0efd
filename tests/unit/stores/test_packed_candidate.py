"""Records of an index's files: those of an older version are read, and a picture without an added field has the same one."""

from __future__ import annotations

import msgspec

from lookalike.stores.segments.packed_candidate import RECORD_FORM, pack, tags_of, unpack
from tests.contract.rows import row


def test_records_of_an_older_version_are_read() -> None:
    assert RECORD_FORM == "id,revision,added,digest,file,brief,label,desc,tags", "files would be made again"
    picture = row("uid", "a", 7, brief="b", label="l", desc="{}", tags=("1",))
    values = ("a", 7, 7, picture.digest, bytes.fromhex(picture.file_digest[:16]), "b", "l", "{}", ("1",))
    older = msgspec.msgpack.encode(values)
    assert pack(picture) == older
    assert unpack(older, "uid", 0.5).metadata == picture.metadata
    signed = row("uid", "a", 7, brief="b", label="l", desc="{}", tags=("1",), old_sign="1,2")
    assert pack(signed) == msgspec.msgpack.encode((*values, "1,2"))
    assert unpack(pack(signed), "uid", 0.5).metadata == signed.metadata
    assert tags_of(pack(signed)) == ("1",)
