# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Exact ranking by a coarse scan and a fine one.

The 8-bit codes of all rows are multiplied with the rounded query. By the
inequality of Cauchy and Schwarz the result is off by at most::

    |v - c| |q| + |c| |q - p|

where c and p are what the code of the vector v and the rounded query q stand
for. So rows that lie further than this below the k-th best cannot be among
the k best, and the others are computed again from the float16 vectors in
float32.
"""

from dataclasses import dataclass

import numpy as np

from astroclip_search.collections._kernels import Query

__all__ = []

# Up to this many rows the vectors themselves are multiplied at once.
_DIRECT = 4096

# Rows that are gathered at once, and rows that are scanned: both bound the
# memory, and the second how often threads wait for each other.
_CHUNK = 1 << 16
_SCAN = 1 << 18

# Values that are sorted to guess where the best begin.
_SAMPLE = 1 << 14

# float32 sums of a few hundred products of unit vectors are off by less.
_ROUNDING = 2e-6


@dataclass
class Ranking:
    """
    Rows in order.

    Attributes
    ----------
    rows : (k,) `~numpy.ndarray`, int64
        Rows of the snapshot, best first.
    similarity : (k,) `~numpy.ndarray`, float32
        Their cosines with the query.
    rescored : int
        Rows whose cosine was computed from their vectors.
    """

    rows: np.ndarray
    similarity: np.ndarray
    rescored: int


class Scan:
    """
    Approximate similarities of rows with a query.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    query : (d,) `~numpy.ndarray`, float32
        Unit vector.
    rows : (n,) `~numpy.ndarray` of int64, optional
        Rows, ascending; by default all that were not removed.

    Attributes
    ----------
    values : (n,) `~numpy.ndarray`, float32
        Similarities; those of removed rows are minus infinity.
    error : float
        They are off by at most this much.
    complete : bool
        Whether no filter left rows out.
    """

    def __init__(self, snapshot, query, rows=None):
        self.snapshot = snapshot
        self.query = query
        self.rows = rows
        self.complete = rows is None
        self.n = snapshot.n_rows if rows is None else len(rows)
        if self.n <= _DIRECT:
            self.error = 0.0
            rows = snapshot.all_rows() if rows is None else rows
            self.rows, self.n = rows, len(rows)
            self.values = self._exact(rows)
            return
        rounded = Query(query)
        # Codes are longer than unit vectors by their own error at most.
        worst = max(segment.info.max_error for segment in snapshot.segments)
        self.error = worst + rounded.error * (1.001 + worst) + _ROUNDING
        self._relative = rounded.rounding
        self.values = np.empty(self.n, np.float32)
        if rows is None:
            for start, segment in zip(
                snapshot.starts, snapshot.segments, strict=False
            ):
                part = self.values[start : start + len(segment)]
                _scan(segment.codes, segment.scales, rounded, part)
                part[segment.removed] = -np.inf
        else:
            for start in range(0, self.n, _CHUNK):
                part = slice(start, start + _CHUNK)
                rounded.products(
                    *snapshot.codes(rows[part]), self.values[part]
                )

    def best(self, k):
        """
        Find the best rows, exactly.

        Parameters
        ----------
        k : int
            How many.

        Returns
        -------
        ranking : Ranking
            The best ``k`` rows, or as many as there are. Equals come in the
            order of the collection.
        """
        k = min(k, self.n)
        if k == 0:
            return Ranking(np.empty(0, np.int64), np.empty(0, np.float32), 0)
        if self.error == 0:
            places = np.flatnonzero(self.values >= _kth(self.values, k))
            return self._ranking(places, self.values[places], k)
        floor = _kth(self.values, k)
        places = np.flatnonzero(self.values >= max(floor, -2))
        if not len(places):
            return self._ranking(places, np.empty(0, np.float32), k)
        exact = self._exact(self._number(places))
        k = min(k, len(exact))  # where removed rows were counted
        least = _kth(exact, k)
        # Whatever may still be better than the worst of these.
        slack = self.error + self._relative * (abs(least) + self.error)
        more = np.flatnonzero(self.values >= max(least - slack, -2))
        more = more[self.values[more] < floor]
        if len(more):
            places = np.concatenate([places, more])
            exact = np.concatenate([exact, self._exact(self._number(more))])
        return self._ranking(places, exact, k)

    def _number(self, places):
        return places if self.rows is None else self.rows[places]

    def _ranking(self, places, values, k):
        order = np.lexsort((places, -values))[:k]
        return Ranking(self._number(places[order]), values[order], len(places))

    def _exact(self, rows):
        """Similarities from the vectors, in pieces."""
        out = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            vectors = self.snapshot.vectors(part)
            out[start : start + _CHUNK] = vectors @ self.query
        return out


def approximate_values(codes, scales, query):
    """
    Approximate similarities of a few codes.

    Parameters
    ----------
    codes : (n, d) `~numpy.ndarray`, int8
        Codes.
    scales : (n,) `~numpy.ndarray`, float32
        Their scales.
    query : (d,) `~numpy.ndarray`, float32
        Unit vector.

    Returns
    -------
    values : (n,) `~numpy.ndarray`, float32
        What a `Scan` gives for the same rows.
    """
    values = np.empty(len(codes), np.float32)
    _scan(codes, scales, Query(query), values)
    return values


def _scan(codes, scales, query, out):
    """Approximate similarities of all rows of a segment, in pieces."""
    for start in range(0, len(out), _SCAN):
        part = slice(start, start + _SCAN)
        query.products(codes[part], scales[part], out[part])


def _kth(values, k):
    """A value that at least k are not below of, and not many more."""
    if len(values) > _CHUNK:
        # Sorting a sample finds a bound that some hundred values reach.
        sample = values[:: len(values) // _SAMPLE]
        place = 4 + int(2 * k * len(sample) / len(values))
        bound = np.partition(sample, -place)[-place]
        high = values[values >= bound]
        if k <= len(high) < len(values) // 4:
            values = high
    return np.partition(values, len(values) - k)[len(values) - k]
