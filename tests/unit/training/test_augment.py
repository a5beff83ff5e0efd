"""The augmented copies that heads are fitted on."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from PIL import Image

from lookalike.training import augment
from tests.support.examples import spread
from tests.support.photographs import photograph

AUGMENTATIONS = {change.__name__: change for change in augment.AUGMENTATIONS}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_change_gives_another_picture_and_the_same_one_again(name: str) -> None:
    picture, background = photograph("chelsea.png", 200), photograph("china.jpg", 200)
    before = picture.tobytes()
    for seed in spread(range(8), 3):
        first, second = (AUGMENTATIONS[name](picture, background, Random(seed)) for _ in range(2))
        assert first.mode == "RGB"
        assert min(first.size) > 1
        assert (first.size, first.tobytes()) == (second.size, second.tobytes())
        assert (first.size, first.tobytes()) != (picture.size, before)
    assert picture.tobytes() == before  # changed copies, never the picture itself


@pytest.mark.slow
@pytest.mark.parametrize("size", [(16, 900), (900, 16), (3000, 1000)])
def test_an_attacked_picture_is_never_larger_than_the_limit(size: tuple[int, int]) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))
    for seed in range(20):
        changed = augment.augment_copy(picture, photograph("coffee.png", 200), Random(seed))
        assert min(changed.size) >= 1
        assert max(changed.size) <= augment.MAX_SIDE
