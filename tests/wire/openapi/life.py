"""Add, search, change and delete a picture by the client that openapi-python-client has made: ``life.py URL AK SK FILE``.

Runs in the environment of that tool. Every answer has the type that the document says.
"""

import sys
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

from made.api.libraries import put_library
from made.api.pictures import add_picture, change_picture, delete_picture, get_picture, put_picture, restore_picture
from made.api.searching import check_picture, compare_pictures, search_library
from made.client import AuthenticatedClient
from made.models import (
    Added,
    Check,
    Compared,
    CompareInput,
    DescriptionInput,
    Found,
    ImageInBase64,
    Library,
    LibraryInput,
    PictureChange,
    PictureInput,
    Problem,
    PutPictureFilesBody,
    SearchInput,
    SearchLibraryFilesBody,
    SearchOptionsInput,
    StoredImage,
    Written,
)
from made.types import File


def expect(value: object, kind: type) -> Any:
    """The value, which is of that kind."""
    assert isinstance(value, kind), value
    return value


url, access_key, secret_key, path = sys.argv[1:]
file = Path(path).read_bytes()
keys = b64encode(f"{access_key}:{secret_key}".encode()).decode()
with AuthenticatedClient(url, keys, prefix="Basic") as client:
    library = expect(put_library.sync("python", client=client, body=LibraryInput()), Library)
    assert library.kind.value == "same", library

    body = PutPictureFilesBody(
        image=File(BytesIO(file), "picture.jpg", "image/jpeg"),
        picture=DescriptionInput(brief="red shoe", tags=["100"]),
    )
    put = expect(put_picture.sync("python", "sku-1", client=client, body=body), Added)
    assert (put.created, put.brief, put.tags) == (True, "red shoe", ["100"]), put
    image = ImageInBase64(b64encode(file).decode())
    again = expect(add_picture.sync("python", client=client, body=PictureInput(image=image, id="sku-1")), Added)
    assert (again.created, again.id) == (False, "sku-1"), again

    found = expect(search_library.sync("python", client=client, body=SearchInput(image, explain=True)), Found)
    assert [(match.id, match.score, match.why.value) for match in found.matches] == [("sku-1", 1, "identical")], found
    form = SearchLibraryFilesBody(File(BytesIO(file), "picture.jpg"), SearchOptionsInput(limit=1))
    found = expect(search_library.sync("python", client=client, body=form), Found)
    assert [match.id for match in found.matches] == ["sku-1"], found
    checked = expect(check_picture.sync("python", client=client, body=File(BytesIO(file))), Check)
    assert checked.held, checked
    stored = StoredImage("sku-1", library="python")
    compared = expect(compare_pictures.sync(client=client, body=CompareInput(image, stored)), Compared)
    assert compared.identical, compared

    changed = expect(
        change_picture.sync(
            "python", "sku-1", client=client, body=PictureChange(brief="left"), if_match=f'"{put.revision}"'
        ),
        Written,
    )
    assert (changed.brief, changed.tags) == ("left", ["100"]), changed
    stale = delete_picture.sync("python", "sku-1", client=client, if_match=f'"{put.revision}"')
    assert expect(stale, Problem).code == "revision_mismatch", stale

    assert delete_picture.sync_detailed("python", "sku-1", client=client).status_code == 204
    assert expect(get_picture.sync("python", "sku-1", client=client), Problem).code == "picture_not_found"
    assert expect(search_library.sync("python", client=client, body=SearchInput(image)), Found).matches == []
    assert expect(restore_picture.sync("python", "sku-1", client=client), Written).state.value == "live"
    print("done")
