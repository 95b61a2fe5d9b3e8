# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
What workers do with a partition.

Filters are those of a `Collection`: a partition looks to them like a segment.
"""

from dataclasses import dataclass

import numpy as np

from astroclip_search.scale._arrow import (
    arrow_column,
    plain_values,
    vectors_of,
)
from astroclip_search.scale._facts import VECTOR
from astroclip_search.scale._view import ordered, view_of

__all__ = []

# Rows that are widened to float32 at once: bounds the memory.
_CHUNK = 1 << 13

# Products of matrices round differently from products of a matrix and a
# vector, so that a few more than are wanted are computed again.
_SPARE = 16


@dataclass
class Best:
    """
    The best rows of a partition, for each of q queries.

    Attributes
    ----------
    places : (q, k) `~numpy.ndarray`, int64
        Rows of the partition, best first; -1 where there are fewer.
    similarity : (q, k) `~numpy.ndarray`, float32
        Their cosines; minus infinity where there are fewer.
    counts : dict
        Rows left after each filter.
    """

    places: np.ndarray
    similarity: np.ndarray
    counts: dict


def scan(frame, facts, queries, limit, names, filters):
    """
    Find the best rows of a partition for all queries.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB.
    facts : CatalogFacts
        What is known of the catalogue.
    queries : (q, d) `~numpy.ndarray`, float32
        Unit vectors.
    limit : int
        Most rows for each query.
    names : sequence of str
        Columns that filters look at.
    filters : dict
        As `Collection.search` takes them.

    Returns
    -------
    best : Best
        The rows.
    """
    from astroclip_search.collections._filters import filter_rows

    frame = ordered(frame)
    rows, counts = filter_rows(view_of(frame, facts, names), **filters)
    column = arrow_column(frame, VECTOR)
    vectors = vectors_of(column, facts.dim, f'catalogue {facts.home!r}')
    return rank(vectors, queries, limit, rows, counts)


def rank(vectors, queries, limit, rows, counts):
    """
    Rank rows exactly.

    Parameters
    ----------
    vectors : (n, d) `~numpy.ndarray`
        Unit vectors.
    queries : (q, d) `~numpy.ndarray`, float32
        Unit vectors.
    limit : int
        Most rows for each query.
    rows : (m,) `~numpy.ndarray` of int64 or None
        Rows that passed the filters; None for all.
    counts : dict
        What is to be told of the filters.

    Returns
    -------
    best : Best
        The rows.
    """
    n = len(vectors) if rows is None else len(rows)
    q, keep = len(queries), limit + _SPARE
    values = np.empty((q, 0), np.float32)
    places = np.empty((q, 0), np.int64)
    for start in range(0, n, _CHUNK):
        mine = np.arange(start, min(start + _CHUNK, n))
        mine = mine if rows is None else rows[mine]
        found = queries @ vectors[mine].astype(np.float32).T
        values = np.concatenate([values, found], axis=1)
        places = np.concatenate(
            [places, np.broadcast_to(mine, found.shape)], axis=1
        )
        if values.shape[1] > keep:
            top = np.argpartition(-values, keep - 1, axis=1)[:, :keep]
            values = np.take_along_axis(values, top, axis=1)
            places = np.take_along_axis(places, top, axis=1)
    similarity = np.full((q, limit), -np.inf, np.float32)
    chosen = np.full((q, limit), -1, np.int64)
    for i in range(q):
        exact = _products(vectors[places[i]], queries[i])
        order = np.lexsort((places[i], -exact))[:limit]
        similarity[i, : len(order)] = exact[order]
        chosen[i, : len(order)] = places[i][order]
    return Best(chosen, similarity, counts)


def _products(vectors, query):
    """Cosines that do not depend on how many rows there are."""
    # The last few rows of a product would be summed in another order, and
    # equal vectors must have equal cosines.
    n = len(vectors)
    whole = np.zeros((n + -n % 64, vectors.shape[1]), np.float32)
    whole[:n] = vectors
    return (whole @ query)[:n]


def fetch(frame, places, kinds):
    """
    Read a few rows of a partition.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB.
    places : (k,) `~numpy.ndarray` of int64
        Which, in the order of the sky.
    kinds : dict
        What each column holds.

    Returns
    -------
    columns : dict
        Values and mask of each column.
    """
    return take(ordered(frame).iloc[places], kinds)


def take(frame, kinds):
    """
    Read columns of a partition.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB.
    kinds : dict
        What each column holds.

    Returns
    -------
    columns : dict
        Values and mask of each column.
    """
    return {
        name: plain_values(arrow_column(frame, name), kind)
        for name, kind in kinds.items()
    }
