"""The records of uploaded objects in the DynamoDB table, and their index by picture."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from lookalike.domain.picture import Key
from lookalike.domain.upload import Upload, UploadState
from lookalike.errors import RevisionConflict
from lookalike.ports import Uploads
from lookalike.stores.aws.dynamodb_conditions import (
    ABSENT,
    Condition,
    ConditionError,
    all_of,
    any_of,
    attribute_absent,
    attributes_equal,
)
from lookalike.stores.aws.dynamodb_items import holder_item, upload_item, upload_of, upload_stamp
from lookalike.stores.aws.dynamodb_keys import holder_key, holders_partition, upload_key
from lookalike.stores.aws.dynamodb_table import Table

#: Holders that are read at a time. Most pictures have one, and callers seldom ask for more than the first.
_HOLDERS_PER_READ = 25

#: States that a record written by the previous version may be in.
_LEGACY_STATES = frozenset({UploadState.SETTLED, UploadState.ADDING, UploadState.UNSURE})


class DynamoUploads(Uploads):
    """Records of uploaded objects, and for each picture the items of its holders.

    A holder's item is written before the upload that names the picture, and deleted in one transaction with the upload
    that no longer does. Readers therefore skip an item whose upload does not name the picture.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def upload(self, source: str) -> Upload | None:
        item = self._table.get(upload_key(source))
        return None if item is None else upload_of(item)

    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        """Save a record if the stored record of its source is still ``known`` (None: there is none).

        Raises RevisionConflict otherwise, without any change to the record.
        """
        before = None if known is None or known.holds is None else known.holds.picture
        after = None if upload.holds is None else upload.holds.picture
        condition = ABSENT if known is None else _unchanged(known)
        if after is not None and after != before:
            self._table.put(holder_item(after, upload.source))
        try:
            if before is None or after == before:
                self._table.put(upload_item(upload), condition)
            else:
                self._table.transact(
                    self._table.put_action(upload_item(upload), condition),
                    self._table.delete_action(holder_key(before, upload.source), {}),
                )
        except ConditionError:
            raise RevisionConflict(upload.source) from None

    def holders(self, picture: Key) -> Iterator[Upload]:
        """Uploads that hold this picture, read lazily, a batch at a time."""
        found = self._table.query(holders_partition(picture))
        while sources := [item["source"]["S"] for item in islice(found, _HOLDERS_PER_READ)]:
            for item in self._table.get_all([upload_key(source) for source in sources]):
                upload = upload_of(item)
                if upload.holds is not None and upload.holds.picture == picture:
                    yield upload


def _unchanged(upload: Upload) -> Condition:
    """Condition: the stored record is this one. Records written by the previous version have no ``state``."""
    stamp = upload_stamp(upload)
    state = attributes_equal({"state": stamp.pop("state")})
    if upload.state in _LEGACY_STATES:
        state = any_of(state, attribute_absent("state"))
    added = () if "added" in stamp else (attribute_absent("added"),)
    return all_of(attributes_equal(stamp), state, *added)
