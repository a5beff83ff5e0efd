"""Boxes and affine transforms, views of a query, and the geometric match of two pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, as fractions of its width and height from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


#: The whole picture.
WHOLE = Box(0.0, 0.0, 1.0, 1.0)


Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): moves (x, y), fractions of width and height, to (a·x + b·y + c, d·x + e·y + f)."""


#: Moves nothing.
IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class QueryView:
    """Embedded view of a query: a crop, or a rectified part.

    ``to_view`` moves the query's points to the view's. ``feature_map`` is packed, b"" if the model makes none. ``full``:
    the view shows a picture from edge to edge, not a piece of one.
    """

    to_view: Affine
    feature_map: bytes
    full: bool


#: Smallest share of the structure that agrees in two copies of one picture: 99 in 100 have 0.89, other invoices 0.77, a
#: playing card with ten pips of another suit 0.85.
MIN_SHARE = 0.87

#: The same in clean ones: copies have 0.9896 at least, a king of another suit 0.9862.
MIN_SHARE_IN_CLEAN = 0.9875

#: The same in noisy ones: poor JPEGs have 0.64.
MIN_SHARE_IN_NOISE = 0.6

#: Noise from which on pictures are noisy: of JPEGs of poor quality it is 0.41 at least, of other invoices 0.15.
MIN_NOISE = 0.3

#: Noise up to which (exclusive) pictures are clean: of drawings saved once more it mostly is.
MAX_CLEAN_NOISE = 0.1

#: Smallest share that agrees within any region.
MIN_WEAKEST = 0.5

#: The same in clean pictures: copies have 0.8 at least, a business card with other letters of one size 0.58.
MIN_WEAKEST_IN_CLEAN = 0.75

#: Largest residual in one place, as a multiple of what a copy leaves there: of copies that agree in all else, by 32 changes,
#: three in a thousand have more. Of close sisters that do, 85 in 89 have: another letter on a card of half or a third the
#: size, another pip.
MAX_CONCENTRATION = 4.0

#: Largest difference of a block that disagrees beyond doubt, in grey levels: what is left of it in standard deviations.
#: Of copies by 31 changes 2 in 1,000 have more, a third as large and poorly saved; of cards of another suit that nothing
#: else told, at half their size most.
MAX_BLOCK_DIFFERENCE = 25.0

#: The same in noisy pictures: of 750 JPEGs of photographs those that agree have 27 at most, cards of another suit 34 at
#: least at their size.
MAX_BLOCK_DIFFERENCE_IN_NOISE = 30.0

#: Largest share of a picture whose colours no common map explains.
MAX_RECOLOURED = 0.015

#: Largest share of a picture whose hues are turned.
MAX_HUE_TURNED = 0.2

#: The same of vivid colours, seen in the light of the ground: of filtered copies one in 600 has more, brands in another
#: colour 0.006.
MAX_VIVIDLY_TURNED = 0.005


#: Smallest number of blocks that prove by their agreement alone that two pictures are the same: crops of pages with two
#: lines of text have 21, a page number on others 4.
MIN_PROVING_BLOCKS = 20

#: Largest mean difference of colours, of 0..1, of such pictures: any three colours of a flag are a map of any other three.
#: Crops have 0.04 at most, other flags 0.2 and more.
MAX_COLOUR_DIFFERENCE = 0.06


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much of two pictures agrees where they lie on each other; all shares are in 0..1.

    ``share`` of the structure agrees, plain ground not counted; ``weakest`` is the share in the region that agrees least.
    ``noise`` is the median, over blocks, of what differs as a share of what there is: of compression, a print or a camera.
    ``recoloured`` is the share of the area that has colours of its own, ``hue_turned`` that whose hue differs,
    ``vividly_turned`` that of it which is vivid and differs from the ground's light. ``regions`` of the original do not
    agree in structure, ``recoloured_regions`` in colour: there are some exactly where structure or colours do not agree.
    ``blocks`` were compared; ``colour_difference`` is the mean difference of colours before any map, of 0..1.
    ``concentration`` is the largest residual in one place, as a multiple of what a copy leaves there; 0 where shapes
    differ anyway. ``block_difference`` is the largest one, in grey levels, of a block that disagrees beyond doubt.
    """

    share: float
    weakest: float
    recoloured: float
    hue_turned: float
    noise: float = 0.0
    regions: tuple[Box, ...] = ()
    recoloured_regions: tuple[Box, ...] = ()
    blocks: int = 0
    colour_difference: float = 0.0
    concentration: float = 0.0
    block_difference: float = 0.0
    vividly_turned: float = 0.0

    @property
    def structure_agrees(self) -> bool:
        """Whether both show the same shapes."""
        noisy = self.noise >= MIN_NOISE
        max_difference = MAX_BLOCK_DIFFERENCE_IN_NOISE if noisy else MAX_BLOCK_DIFFERENCE
        if self.concentration > MAX_CONCENTRATION or self.block_difference > max_difference:
            return False
        if self.noise < MAX_CLEAN_NOISE:
            return self.share >= MIN_SHARE_IN_CLEAN and self.weakest >= MIN_WEAKEST_IN_CLEAN
        min_share = MIN_SHARE_IN_NOISE if noisy else MIN_SHARE
        return self.share >= min_share and self.weakest >= MIN_WEAKEST

    @property
    def colours_agree(self) -> bool:
        """Whether no part has a colour of its own."""
        return (
            self.recoloured <= MAX_RECOLOURED
            and self.hue_turned <= MAX_HUE_TURNED
            and self.vividly_turned <= MAX_VIVIDLY_TURNED
        )

    @property
    def agrees(self) -> bool:
        """Whether nothing speaks against both being the same picture."""
        return self.structure_agrees and self.colours_agree

    @property
    def proves(self) -> bool:
        """Whether both are the same picture even if nothing else says so."""
        return (
            self.agrees
            and self.noise < MIN_NOISE
            and self.blocks >= MIN_PROVING_BLOCKS
            and self.colour_difference <= MAX_COLOUR_DIFFERENCE
        )


@dataclass(frozen=True, slots=True)
class GeometricMatch:
    """How the query lies on a picture.

    ``probability``, in 0..1, is the probability that both show the same. ``inliers`` counts the feature-map cells, or the keypoints,
    that the transform moves onto their partners; 0 where whole pictures were compared. ``correlation``, in −1..1, is the
    mean correlation of thumbnail blocks. ``transform`` moves the query's points to the picture's. ``region`` is the
    part of the picture that holds the inliers. ``agreement`` tells what agrees; None if the original was not compared.
    ``inverted``: one is the negative of the other.
    """

    probability: float
    inliers: int
    correlation: float
    transform: Affine
    region: Box
    agreement: Agreement | None = None
    inverted: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether the query shows the mirror image."""
        a, b, _, d, e, _ = self.transform
        return a * e < b * d

    @property
    def upright(self) -> bool:
        """Whether the query is neither mirrored nor turned by 45 degrees or more."""
        a, b, _, d, e, _ = self.transform
        return a > 0 and a * e > abs(b * d)
