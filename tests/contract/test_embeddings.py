"""What every store of other models' embeddings, and of models, must do."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lookalike.domain.model_change import ModelRef, ModelsInUse, Phase
from lookalike.domain.picture import DIMENSION, Key, Vector, object_key
from lookalike.errors import ModelError, RevisionConflict
from lookalike.ports import Embeddings, ModelFiles

OLD, NEW = ModelRef("old", "0" * 16, "1" * 16), ModelRef("new ü", "2" * 16, "3" * 16)
FILES = {"model.onnx": b"graph", "codebooks.npz": b"books", "card.json": b"{}"}


def vector(number: int) -> Vector:
    return np.random.default_rng(number).standard_normal(DIMENSION).astype(np.float16)


def keys_of(library: str, count: int) -> list[str]:
    names = [f"{number:064x}" if number % 2 else f"../ü {number}@x" for number in range(count)]
    return [object_key(Key(library, name), 1_767_323_045_000, "ab" * 32) for name in names]


def test_what_was_put_is_answered_by_model(embeddings: Embeddings, uid: str) -> None:
    keys = keys_of(uid, 150)
    for number, key in enumerate(keys):
        embeddings.put("new ü", key, vector(number), os.urandom(9000) if number % 3 else b"")
    embeddings.put("old", keys[0], vector(1000), b"map")
    found = embeddings.vectors("new ü", [*keys, f"{uid}/unknown/1-0"])
    assert found.keys() == set(keys)
    assert all(np.array_equal(found[key], vector(number)) for number, key in enumerate(keys))
    maps = embeddings.maps("new ü", keys)
    assert [len(maps[key]) for key in keys] == [9000 if number % 3 else 0 for number in range(len(keys))]
    assert {type(data) for data in maps.values()} == {bytes}
    assert embeddings.maps("old", keys) == {keys[0]: b"map"}
    assert embeddings.vectors("other", keys) == {}
    assert embeddings.vectors("old", []) == {}


def test_putting_again_replaces_and_removing_is_by_model(embeddings: Embeddings, uid: str) -> None:
    first, second = keys_of(uid, 2)
    for model in ("old", "new ü"):
        embeddings.put(model, first, vector(1), b"before")
    embeddings.put("old", first, vector(2), b"after")
    assert embeddings.maps("old", [first, second]) == {first: b"after"}
    embeddings.remove(["old", "unknown"], [first, second])
    embeddings.remove([], [first])
    embeddings.remove(["old"], [])
    assert embeddings.maps("old", [first]) == {}
    assert embeddings.maps("new ü", [first]) == {first: b"before"}
    embeddings.remove(["old", "new ü"], [first])
    assert embeddings.vectors("new ü", [first]) == {}


def test_all_keys_of_a_model_are_listed(embeddings: Embeddings, uid: str) -> None:
    keys = keys_of(uid, 40)
    for key in keys:
        embeddings.put("new ü", key, vector(1), b"")
    embeddings.put("old", f"{uid}/other/1-0", vector(1), b"")
    assert sorted(key for batch in embeddings.keys("new ü") for key in batch if key.startswith(uid)) == sorted(keys)
    assert [key for batch in embeddings.keys("nobody") for key in batch] == []


def test_the_models_in_use_are_written_by_one_of_two(embeddings: Embeddings) -> None:
    assert embeddings.models() is None
    models = ModelsInUse(OLD, NEW, Phase.FILLING, 7, 12.5, 3, ("a/b", "ü"))
    stored = embeddings.save_models(models, None)
    assert replace(stored, revision=0) == models
    assert embeddings.models() == stored
    with pytest.raises(RevisionConflict):
        embeddings.save_models(models, None)
    switched = embeddings.save_models(stored.swapped(Phase.RETIRED, 8), stored)
    assert (switched.live, switched.other) == (NEW, OLD)
    with pytest.raises(RevisionConflict):
        embeddings.save_models(stored, stored)
    assert embeddings.models() == switched
    alone = embeddings.save_models(replace(switched, other=None, phase=None), switched)
    assert embeddings.models() == alone
    embeddings.forget_models()
    embeddings.forget_models()
    assert embeddings.models() is None


def test_of_racing_changes_one_is_made(
    embeddings: Embeddings, together: Callable[[list[Callable[[], object]]], list[object]]
) -> None:
    first = embeddings.save_models(ModelsInUse(OLD), None)

    def change(number: int) -> Callable[[], object]:
        def one() -> object:
            try:
                return embeddings.save_models(replace(first, rate=float(number)), first)
            except RevisionConflict:
                return None

        return one

    done = [one for one in together([change(number) for number in range(1, 9)]) if one is not None]
    assert done == [embeddings.models()]


def test_a_models_files_are_kept_whole(model_files: ModelFiles) -> None:
    card = "0123456789abcdef"
    with pytest.raises(ModelError):
        model_files.folder(card)
    model_files.keep(card, FILES)
    model_files.keep(card, FILES)
    folder = model_files.folder(card)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == FILES
    assert model_files.folder(card) == folder
    model_files.remove("fedcba9876543210")
    model_files.remove(card)
    model_files.remove(card)


@pytest.mark.parametrize("card", ["", "..", "../../../../../x", "0123456789ABCDEF", "0123456789abcdef0"])
def test_what_is_no_digest_names_no_folder(model_files: ModelFiles, card: str) -> None:
    with pytest.raises(ModelError):
        model_files.folder(card)
    with pytest.raises(ModelError):
        model_files.keep(card, FILES)
