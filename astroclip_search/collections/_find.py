# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Searches: filters, then ranking, then a table."""

import numpy as np

from astroclip_search.collections import _ann
from astroclip_search.collections._filters import (
    check_position,
    filter_rows,
    positions,
)
from astroclip_search.collections._healpix import unit_vectors
from astroclip_search.collections._rank import Scan, approximate_values
from astroclip_search.collections.calibration import (
    MIN_BACKGROUND,
    BackgroundRates,
)
from astroclip_search.config import conf
from astroclip_search.exceptions import QueryError

__all__ = []


def check_query(vector, dim):
    """
    See that vectors of queries are such.

    Parameters
    ----------
    vector : (d,) or (q, d) array_like
        What was given.
    dim : int
        What d must be.

    Returns
    -------
    queries : (q, d) `~numpy.ndarray`, float32
        Unit vectors.
    single : bool
        Whether it was one vector.

    Raises
    ------
    QueryError
        If it is anything else.
    """
    try:
        queries = np.array(vector, np.float32)
    except (TypeError, ValueError) as exc:
        msg = (
            f'{type(vector).__name__} is no vector; texts and images are '
            'searched for with astroclip_search.search'
        )
        raise QueryError(msg) from exc
    if queries.ndim not in (1, 2) or queries.shape[-1] != dim:
        msg = (
            f'the query has the shape {queries.shape}; this collection needs '
            f'({dim},), or (q, {dim}) for several'
        )
        raise QueryError(msg)
    single = queries.ndim == 1
    queries = np.atleast_2d(queries)
    lengths = np.linalg.norm(queries, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        msg = 'the query vector is zero or not finite'
        raise QueryError(msg)
    return queries / lengths, single


def check_limit(limit):
    """
    Get the number of rows that are wanted.

    Parameters
    ----------
    limit : int or None
        What was given.

    Returns
    -------
    limit : int
        ``conf.limit`` for None.

    Raises
    ------
    QueryError
        If it is no positive integer.
    """
    limit = conf.limit if limit is None else limit
    if not isinstance(limit, int | np.integer) or limit < 1:
        msg = f'limit={limit!r} is no number of rows; give 1 or more'
        raise QueryError(msg)
    return int(limit)


def search(
    collection,
    vector,
    *,
    limit=None,
    group_by=None,
    min_separation=None,
    max_similarity=None,
    max_false_match_rate=None,
    approximate=False,
    position=None,
    make=None,
    **filters,
):
    """
    Do what `Collection.search` promises.

    Parameters
    ----------
    collection : Collection
        The collection.
    vector, limit, group_by, min_separation, max_similarity : object
        As there.
    max_false_match_rate, approximate, position, **filters : object
        As there.
    make : callable, optional
        What makes a result of rows; the default is `to_result`.

    Returns
    -------
    result : `~astroclip_search.results.SearchResult` or list of them
        A list for several queries.
    """
    snapshot = collection._snapshot
    queries, single = check_query(vector, snapshot.manifest.dim)
    limit = check_limit(limit)
    picker = Picker(
        snapshot,
        group_by=group_by,
        min_separation=min_separation,
        max_similarity=max_similarity,
    )
    if max_false_match_rate is not None and not 0 < max_false_match_rate <= 1:
        msg = f'max_false_match_rate={max_false_match_rate} is not in (0, 1]'
        raise QueryError(msg)
    rows, counts = filter_rows(snapshot, position=position, **filters)
    if position is not None:
        position = check_position(position)
    index = snapshot.manifest.index
    fast = approximate and index and rows is None and picker.idle
    results = []
    for query in queries:
        if fast:
            ranking = _ann.best(snapshot, query, limit)
            values = sample_values(snapshot, query)
        else:
            scan = Scan(snapshot, query, rows)
            ranking = picker.pick(scan, limit)
            values = background(snapshot, scan)
        rates = BackgroundRates(values)
        rate = rates(ranking.similarity)
        if max_false_match_rate is not None:
            keep = rate <= max_false_match_rate
            ranking.rows, rate = ranking.rows[keep], rate[keep]
            ranking.similarity = ranking.similarity[keep]
        meta = provenance(collection, counts)
        meta['background_rows'] = rates.n
        meta['exact'] = not fast
        if fast:
            meta['recall_at_10'] = index['recall_at_10']
        if rates.n < MIN_BACKGROUND:
            meta['calibration'] = (
                f'{rates.n} rows are too few for a background: scores are '
                'rough'
            )
        results.append(
            (make or to_result)(
                snapshot,
                ranking.rows,
                similarity=ranking.similarity,
                false_match_rate=rate,
                position=position,
                meta=meta,
            )
        )
    return results[0] if single else results


def stream(
    collection,
    vector,
    *,
    chunk_size,
    position=None,
    **filters,
):
    """
    Do what `Collection.iter_search` promises.

    Parameters
    ----------
    collection : Collection
        The collection.
    vector, chunk_size, position, **filters : object
        As there.

    Yields
    ------
    result : `~astroclip_search.results.SearchResult`
        The next rows.
    """
    snapshot = collection._snapshot
    queries, single = check_query(vector, snapshot.manifest.dim)
    if not single:
        msg = 'iter_search takes one vector'
        raise QueryError(msg)
    chunk_size = check_limit(chunk_size)
    rows, counts = filter_rows(snapshot, position=position, **filters)
    if position is not None:
        position = check_position(position)
    scan = Scan(snapshot, queries[0], rows)
    rates = BackgroundRates(background(snapshot, scan))
    ranking = scan.best(scan.n)
    for start in range(0, len(ranking.rows), chunk_size):
        part = slice(start, start + chunk_size)
        result = to_result(
            snapshot,
            ranking.rows[part],
            similarity=ranking.similarity[part],
            false_match_rate=rates(ranking.similarity[part]),
            position=position,
            meta=provenance(collection, counts),
        )
        result['rank'] += start
        yield result


def select(collection, *, limit=None, position=None, **filters):
    """
    Do what `Collection.select` promises.

    Parameters
    ----------
    collection : Collection
        The collection.
    limit, position, **filters : object
        As there.

    Returns
    -------
    result : `~astroclip_search.results.SearchResult`
        The rows, without similarities.
    """
    snapshot = collection._snapshot
    limit = check_limit(limit)
    rows, counts = filter_rows(snapshot, position=position, **filters)
    if rows is None:
        rows = snapshot.all_rows()
    if position is not None:
        position = check_position(position)
        xyz = positions(snapshot, rows)
        center = unit_vectors(position.ra.rad, position.dec.rad)
        gaps = np.linalg.norm(xyz - center, axis=1)
        order = np.argsort(gaps, kind='stable')[:limit]
        rows = rows[order[np.isfinite(gaps[order])]]
    return to_result(
        snapshot,
        rows[:limit],
        position=position,
        meta=provenance(collection, counts),
    )


def background(snapshot, scan):
    """
    Similarities of the background of a collection with a query.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    scan : Scan
        The query.

    Returns
    -------
    values : (n,) `~numpy.ndarray`, float32
        Similarities of its rows, or of a fixed sample of them, whatever the
        filters of the query.
    """
    sample = snapshot.sample
    if scan.complete:
        return scan.values if sample is None else scan.values[sample]
    return sample_values(snapshot, scan.query)


def sample_values(snapshot, query):
    """
    Similarities of the background, without those of other rows.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    query : (d,) `~numpy.ndarray`, float32
        Unit vector.

    Returns
    -------
    values : (n,) `~numpy.ndarray`, float32
        As `background` gives them.
    """
    if snapshot.sample is None:
        return Scan(snapshot, query).values
    return approximate_values(*snapshot.sample_codes, query)


def provenance(collection, counts):
    """
    What a result tells of its collection.

    Parameters
    ----------
    collection : Collection
        The collection.
    counts : dict
        Rows that passed each filter.

    Returns
    -------
    meta : dict
        Collection, model, rendering, counts.
    """
    manifest = collection._snapshot.manifest
    return {
        'collection': collection.name,
        'collection_path': str(collection.path),
        'generation': manifest.generation,
        'model': manifest.model,
        'fingerprint': manifest.fingerprint,
        'rendering': manifest.rendering,
        'counts': dict(counts),
    }


def to_result(snapshot, rows, **facts):
    """
    Make a table of rows.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    rows : (k,) `~numpy.ndarray`, int64
        Rows in order.
    **facts : object
        As `SearchResult.from_rows` takes them.

    Returns
    -------
    result : `~astroclip_search.results.SearchResult`
        The table.
    """
    from astroclip_search.results import SearchResult

    if any(segment.info.thumbnails for segment in snapshot.segments):
        facts['thumbnails'] = snapshot.thumbnails(rows)
    return SearchResult.from_rows(_Rows(snapshot, rows), **facts)


class _Rows:
    """What a result needs of a table, without the time to make one."""

    def __init__(self, snapshot, rows):
        self._columns = snapshot.columns(rows)
        self._length = len(rows)

    @property
    def colnames(self):
        return list(self._columns)

    def __len__(self):
        return self._length

    def __getitem__(self, name):
        return self._columns[name]


def to_values(snapshot, rows, *, similarity, false_match_rate, **facts):
    """
    Make plain columns of rows, for where no table is needed.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    rows : (k,) `~numpy.ndarray`, int64
        Rows in order.
    similarity, false_match_rate : (k,) `~numpy.ndarray`
        Of each row.
    **facts : object
        What a table would say besides.

    Returns
    -------
    columns : dict of list
        Values of the columns that `to_result` has, None where unknown.
    """
    return {
        'rank': list(range(1, len(rows) + 1)),
        **snapshot.values(rows),
        'similarity': np.asarray(similarity, float).tolist(),
        'score': (1.0 - false_match_rate).tolist(),
        'false_match_rate': false_match_rate.tolist(),
    }


class Picker:
    """
    What is left out of a ranking because something better is like it.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    group_by : str, optional
        Column of which each value comes once.
    min_separation : `~astropy.units.Quantity`, optional
        Least distance on the sky between any two rows.
    max_similarity : float, optional
        Greatest cosine between the vectors of any two rows.
    """

    def __init__(
        self,
        snapshot,
        *,
        group_by=None,
        min_separation=None,
        max_similarity=None,
    ):
        from astroclip_search.collections._where import check_name

        self.snapshot = snapshot
        self.group_by = group_by
        self.chord = self.cosine = None
        if group_by is not None:
            check_name(snapshot, group_by)
        if min_separation is not None:
            unit = getattr(min_separation, 'unit', None)
            if unit is None or unit.physical_type != 'angle':
                msg = f'min_separation={min_separation!r} is no angle'
                raise QueryError(msg)
            radius = float(min_separation.to_value('rad'))
            self.chord = 2 * np.sin(min(radius, np.pi) / 2)
        if max_similarity is not None:
            if not 0 < max_similarity < 1:
                msg = f'max_similarity={max_similarity!r} is not in (0, 1)'
                raise QueryError(msg)
            self.cosine = max_similarity

    @property
    def idle(self):
        """Whether nothing is left out."""
        return (self.group_by, self.chord, self.cosine) == (None, None, None)

    def pick(self, scan, limit):
        """
        Find the best rows that are not like better ones.

        Parameters
        ----------
        scan : Scan
            The query.
        limit : int
            Most rows.

        Returns
        -------
        ranking : Ranking
            The rows.
        """
        if self.idle:
            return scan.best(limit)
        k = 4 * limit
        while True:
            ranking = scan.best(k)
            keep = self._keep(ranking.rows, limit)
            if len(keep) >= limit or len(ranking.rows) < k:
                break
            k *= 4
        ranking.rows = ranking.rows[keep]
        ranking.similarity = ranking.similarity[keep]
        return ranking

    def _keep(self, rows, limit):
        """Places of the rows that stay, at most as many as wanted."""
        groups = self._groups(rows)
        xyz = None
        if self.chord is not None:
            xyz = positions(self.snapshot, rows)
        vectors = None
        if self.cosine is not None:
            vectors = self.snapshot.vectors(rows)
        kept, seen = [], set()
        for i in range(len(rows)):
            if groups is not None and groups[i] is not None:
                if groups[i] in seen:
                    continue
                seen.add(groups[i])
            if xyz is not None and kept:
                gaps = np.linalg.norm(xyz[kept] - xyz[i], axis=1)
                if (gaps < self.chord).any():
                    continue
            if vectors is not None and kept:
                cosines = vectors[kept] @ vectors[i]
                if (cosines > self.cosine).any():
                    continue
            kept.append(i)
            if len(kept) == limit:
                break
        return np.array(kept, np.int64)

    def _groups(self, rows):
        """Value of each row, None where it is unknown."""
        if self.group_by is None:
            return None
        column = self.snapshot.table(rows, [self.group_by])[self.group_by]
        mask = getattr(column, 'mask', np.zeros(len(rows), bool))
        return [
            None if gone else value
            for value, gone in zip(
                np.asarray(column).tolist(), mask, strict=True
            )
        ]
