"""The coarse layer of a large segment: its codes in inverted lists, of which a search reads those that may matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import DIMENSION
from lookalike.stores.segments.inner_products import Float16Vectors, Rows, to_float32

#: Rows from which a segment has lists. Below, reading all codes takes less time than choosing among them.
MIN_LISTED_ROWS = 65_536

#: Lists of a segment, times the square root of its rows: 1,024 for half a million.
_LISTS = 1.4

#: Rows that centroids are trained on, for each list, and steps of the training.
_TRAINED_ROWS, _STEPS = 40, 6

#: Lists that a first look reads.
_FIRST_LISTS = 16

#: How much less the cosine of a list's centroid may be than that of a row in the list that is looked for. Share of the
#: 100 nearest that are in such lists, among 400,000 pictures in kinds (and blends of photographs): 0.9970 (0.9998) with
#: 0.30, 0.9991 (1.0000) with 0.35, 0.9998 (1.0000) with 0.40. With 0.40, a million pictures' lists hold 22 % of them for
#: one view, and 15 % for each of five.
_GAP = 0.40

#: Rows encoded at a time.
_BLOCK_ROWS = 8192


class ListedCodes:
    """4-bit codes in lists, each of the rows that are nearest to one centroid.

    Parameters
    ----------
    index : FAISS's IndexIVFPQFastScan.
    """

    def __init__(self, index: Any) -> None:
        self.index = index
        quantizer: Any = faiss.downcast_index(index.quantizer)
        numbers = faiss.rev_swig_ptr(quantizer.get_xb(), index.nlist * DIMENSION)
        self._centroids = numbers.reshape(index.nlist, DIMENSION).T.copy()

    def first_look(
        self, views: NDArray[np.float32], allowed: NDArray[np.uint8] | None, depth: int
    ) -> tuple[NDArray[np.float32], Rows]:
        """Return the best rows by code in the nearest lists, as :meth:`search` does."""
        cosines = views @ self._centroids
        some = min(_FIRST_LISTS, cosines.shape[1])
        lists = np.argpartition(-cosines, some - 1, axis=1)[:, :some]
        return self._search(views, lists, cosines, allowed, depth)

    def search(
        self, views: NDArray[np.float32], allowed: NDArray[np.uint8] | None, depth: int, least: float
    ) -> tuple[NDArray[np.float32], Rows]:
        """Return estimates and numbers of the rows that are best by code, both of shape (V, depth), best first.

        Parameters
        ----------
        views : shape (V, DIMENSION).
        allowed : bitmap of the rows that may be found; None: all.
        least : lists are left out that can hardly have rows of this cosine.

        Rows that there are not have the number -1.
        """
        cosines = views @ self._centroids
        lists = [np.flatnonzero(of_view >= least - _GAP) for of_view in cosines]
        return self._search(views, lists, cosines, allowed, depth)

    def _search(
        self,
        views: NDArray[np.float32],
        lists: Iterable[NDArray[np.int64]],
        cosines: NDArray[np.float32],
        allowed: NDArray[np.uint8] | None,
        depth: int,
    ) -> tuple[NDArray[np.float32], Rows]:
        """Return what :meth:`search` does of these lists of each view, given all centroids' cosines to the views.

        FAISS is asked view by view: five at once take it as long, or half as long again.
        """
        estimates = np.full((len(views), depth), -np.inf, np.float32)
        rows = np.full((len(views), depth), -1, np.int64)
        given = {} if allowed is None else {"sel": faiss.IDSelectorBitmap(allowed)}  # type: ignore[call-arg, arg-type]
        for view, some in enumerate(lists):
            if not len(some):
                continue
            chosen, near = np.ascontiguousarray(some, np.int64), np.ascontiguousarray(cosines[view, some])
            self.index.search_preassigned_c(
                1,
                faiss.swig_ptr(views[view]),
                depth,
                faiss.swig_ptr(chosen),
                faiss.swig_ptr(near),
                faiss.swig_ptr(estimates[view]),
                faiss.swig_ptr(rows[view]),
                False,
                faiss.SearchParametersIVF(nprobe=len(some), **given),  # type: ignore[call-arg]
            )
        return estimates, rows


def train_centroids(vectors: NDArray[np.float32], lists: int) -> NDArray[np.float32]:
    """Return the centroids of k-means by cosine, shape (lists, DIMENSION). The same vectors give the same ones."""
    means = faiss.Kmeans(
        DIMENSION, lists, niter=_STEPS, spherical=True, max_points_per_centroid=_TRAINED_ROWS, seed=1, verbose=False
    )
    means.train(vectors)
    return np.asarray(means.centroids, np.float32)


def lists_of(rows: int) -> int:
    """Return the number of lists of a segment with so many rows; 0: it has none."""
    return 0 if rows < MIN_LISTED_ROWS else int(_LISTS * rows**0.5)


def trained_rows(rows: int) -> Rows:
    """Return the rows of a segment that its centroids are trained on, sorted. The same number of rows gives the same."""
    wanted = min(rows, _TRAINED_ROWS * lists_of(rows))
    return np.sort(np.random.default_rng(rows).choice(rows, wanted, replace=False))


def nearest_lists(vectors: Float16Vectors, centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the number of the list of each vector, shape (n,)."""
    found: NDArray[np.int64] = _quantizer(centroids).search(to_float32(vectors), 1)[1][:, 0]
    return found


def build_listed_index(vectors: Float16Vectors, centroids: NDArray[np.float32], codebook: NDArray[np.float32]) -> Any:
    """Return FAISS's index over the vectors' 4-bit codes in lists."""
    quantizer = _quantizer(centroids)
    codes = faiss.IndexIVFPQFastScan(
        quantizer, DIMENSION, len(centroids), DIMENSION // 2, 4, faiss.METRIC_INNER_PRODUCT
    )
    quantizer.this.disown()
    codes.own_fields = True
    codes.by_residual = False
    faiss.copy_array_to_vector(np.ascontiguousarray(codebook, np.float32).ravel(), codes.pq.centroids)
    codes.is_trained = True
    for start in range(0, len(vectors), _BLOCK_ROWS):
        codes.add(to_float32(vectors[start : start + _BLOCK_ROWS]))
    return codes


def _quantizer(centroids: NDArray[np.float32]) -> Any:
    quantizer = faiss.IndexFlatIP(DIMENSION)
    quantizer.add(centroids)
    return quantizer
