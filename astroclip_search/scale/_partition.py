# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
What workers do with a partition.

Filters are those of a `Collection`: a partition looks to them like a segment.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from astroclip_search.scale._facts import INDEX, VECTOR
from astroclip_search.scale._read import plain_values, vectors_of

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


class Part:
    """
    A partition in the form of a segment of a collection.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB, with Arrow columns.
    columns : dict
        What is known of the columns that filters look at.
    """

    alive = None
    removed = np.empty(0, np.int32)

    def __init__(self, frame, columns):
        from astroclip_search.collections._columns import (
            StoredColumn,
            to_field,
        )

        self._frame = frame
        self.columns = {}
        for name, facts in columns.items():
            array = plain_array(frame, name, facts['kind'])
            field = to_field(name, array.type, facts)
            self.columns[name] = StoredColumn(array, field)

    def __len__(self):
        return len(self._frame)

    @cached_property
    def hpx(self):
        """Indices of the rows, ascending; -1 where there is no position."""
        index = self._frame.index.to_numpy().astype(np.int64)
        return np.where(np.isfinite(self.xyz[:, 0]), index, -1)

    @cached_property
    def xyz(self):
        """Unit vectors of the positions; not-a-number where unknown."""
        from astroclip_search.collections._healpix import unit_vectors

        ra, dec = (
            np.radians(self._frame[name].to_numpy(np.float64, na_value=np.nan))
            for name in ('s_ra', 's_dec')
        )
        return unit_vectors(ra, dec)


def plain_array(frame, name, kind):
    """
    Take a column as one Arrow array without an offset.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB.
    name : str
        The column.
    kind : str
        What it holds.

    Returns
    -------
    array : `pyarrow.Array`
        Its values.
    """
    import pyarrow as pa

    kinds = {
        'str': pa.string(),
        'float': pa.float64(),
        'int': pa.int64(),
        'bool': pa.bool_(),
    }
    array = arrow_column(frame, name).cast(kinds[kind]).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks or [pa.nulls(0, kinds[kind])])
    # Only a copy is sure to begin where its buffers do.
    return array.take(pa.array(np.arange(len(array))))


def arrow_column(frame, name):
    """
    Take a column as Arrow.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB.
    name : str
        The column.

    Returns
    -------
    column : `pyarrow.ChunkedArray`
        Its values.
    """
    import pyarrow as pa

    array = pa.array(frame[name])
    if isinstance(array, pa.ChunkedArray):
        return array
    return pa.chunked_array([array])


def view_of(frame, facts, names):
    """
    See a partition as a collection of one segment.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB, in the order of the sky.
    facts : CatalogFacts
        What is known of the catalogue.
    names : sequence of str
        Columns that filters look at.

    Returns
    -------
    snapshot : Snapshot
        What filters take.
    """
    from astroclip_search.collections._snapshot import Snapshot

    columns = {name: facts.columns[name] for name in names}
    made = Snapshot(None, None, [Part(frame, columns)], {})
    made.facts = facts.columns
    return made


def ordered(frame):
    """
    Bring a partition into the order of the sky, if it is not.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB.

    Returns
    -------
    frame : `pandas.DataFrame`
        The same rows.
    """
    if frame.index.name != INDEX or frame.index.is_monotonic_increasing:
        return frame
    return frame.iloc[np.argsort(frame.index.to_numpy(), kind='stable')]


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


def kind_of(dtype):
    """
    Tell what a column holds that is known by its type only.

    Parameters
    ----------
    dtype : `pandas.api.types.ExtensionDtype` or `~numpy.dtype`
        Its type.

    Returns
    -------
    kind : str or None
        'str', 'float', 'int' or 'bool'; None for lists and such.
    """
    import pyarrow as pa

    try:
        arrow = getattr(dtype, 'pyarrow_dtype', None) or pa.from_numpy_dtype(
            np.dtype(dtype)
        )
    except (TypeError, pa.ArrowException):
        return None
    tests = {
        'str': (pa.types.is_string, pa.types.is_large_string),
        'float': (pa.types.is_floating,),
        'int': (pa.types.is_integer,),
        'bool': (pa.types.is_boolean,),
    }
    for kind, several in tests.items():
        if any(test(arrow) for test in several):
            return kind
    return None


def new_columns(dtypes, known):
    """
    Tell what columns hold that were joined to a catalogue.

    Parameters
    ----------
    dtypes : `pandas.Series`
        Types by name.
    known : dict
        What is known of the other columns.

    Returns
    -------
    columns : dict
        Kind of each, and unit of ``_dist_arcsec``, the distance that LSDB
        adds. Lists and such are left out.
    """
    columns = {}
    for name, dtype in dtypes.items():
        kind = kind_of(dtype)
        if name not in known and name != VECTOR and kind is not None:
            columns[name] = {'kind': kind}
    if '_dist_arcsec' in columns:
        columns['_dist_arcsec']['unit'] = 'arcsec'
    return columns
