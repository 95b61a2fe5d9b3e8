# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Searches of HATS catalogues, with LSDB on a Dask cluster."""

from collections.abc import Mapping

import numpy as np

from astroclip_search.exceptions import QueryError
from astroclip_search.scale import _partition
from astroclip_search.scale._background import Background
from astroclip_search.scale._catalog import (
    compute,
    delayed,
    facts_of,
    open_catalog,
    prune,
)
from astroclip_search.scale._facts import VECTOR
from astroclip_search.scale._merge import (
    FoundRows,
    merge,
    tell,
    to_result,
)
from astroclip_search.scale._view import view_of

__all__ = ['search_hats']

_INTERVALS = {
    'time': ('t_min', 't_max'),
    'wavelength': ('em_min', 'em_max'),
}


def search_hats(
    catalog,
    query,
    *,
    position=None,
    radius=None,
    region=None,
    moc=None,
    where=None,
    limit=None,
    max_false_match_rate=None,
    embedder=None,
):
    """
    Search a HATS catalogue, on the Dask cluster there is.

    The answer is that of `Collection.search` on the same rows. Partitions
    that a cone or a MOC does not meet are not read; the others are ranked
    exactly, all queries in one pass, and their best rows are merged. Without
    a `dask.distributed.Client` the threads of this process do it.

    Parameters
    ----------
    catalog : path-like or `lsdb.catalog.Catalog`
        What `to_hats` wrote, opened with ``lsdb.open_catalog`` or not, or
        what `crossmatch` or a filter of LSDB made of it.
    query : (d,) or (q, d) `~numpy.ndarray`, or object
        One vector or several; or a text, an image (no array of one or two
        dimensions) or a list of such, as `~astroclip_search.search` takes
        it.
    position, radius, region, moc, where, limit : object, optional
        As `Collection.search` takes them.
    max_false_match_rate : float, optional
        Leave out rows that a background would match more often.
    embedder : `~astroclip_search.Embedder`, str or path-like, optional
        The model of texts and images; the default is the one that made the
        catalogue.

    Returns
    -------
    result : `~astroclip_search.results.SearchResult`
        Rows, best first; a list of results for (q, d) vectors.

    Raises
    ------
    QueryError
        If the query or a filter cannot be understood.
    CollectionError
        If the catalogue has no vectors, does not say which model made them,
        or cannot be read.
    ModelError
        If another model made it.
    MissingDependencyError
        If the extra ``scale`` is not installed.
    """
    from astroclip_search.collections._filters import filter_rows
    from astroclip_search.collections._find import check_limit, check_query

    catalog = open_catalog(catalog)
    facts = facts_of(catalog)
    vector, told = _vector(query, facts, embedder)
    queries, single = check_query(vector, facts.dim)
    limit = check_limit(limit)
    if max_false_match_rate is not None and not 0 < max_false_match_rate <= 1:
        msg = f'max_false_match_rate={max_false_match_rate} is not in (0, 1]'
        raise QueryError(msg)
    filters = {
        'position': position,
        'radius': radius,
        'region': region,
        'moc': moc,
        'where': where,
    }
    filters = {k: v for k, v in filters.items() if v is not None}
    names = _names(facts, filters)
    # Refuse before anything is read.
    filter_rows(view_of(catalog.meta, facts, names), **filters)
    catalog = prune(catalog, filters)
    best = _scan(catalog, facts, queries, limit, names, filters)
    picked = [merge(best, i, limit) for i in range(len(queries))]
    rows = _fetch(catalog, facts, picked)
    background = Background(facts)
    results = [
        to_result(
            rows,
            pairs,
            similarity=similarity,
            rates=background.rates(query),
            position=position,
            max_false_match_rate=max_false_match_rate,
            meta=tell(facts, best, told),
        )
        for query, (pairs, similarity) in zip(queries, picked, strict=True)
    ]
    return results[0] if single else results


def _vector(query, facts, embedder):
    """Vectors of a query, and what is to be told of it."""
    from astroclip_search._query import parse_query
    from astroclip_search._vectors import _embedder_of, query_vector

    if isinstance(query, np.ndarray) and query.ndim in (1, 2):
        if embedder is not None:
            _embedder_of(facts, embedder, images=False)
        return query, {}
    terms = parse_query(query)
    vector, meta = query_vector(terms, facts, embedder=embedder)
    return vector, {'query': ' + '.join(map(str, terms)), **meta}


def _names(facts, filters):
    """Columns that filters look at, as far as there are such."""
    where = filters.get('where')
    wanted = ['s_ra', 's_dec'] if 'region' in filters else []
    for name in where if isinstance(where, Mapping) else ():
        if name not in facts.columns:
            wanted += _INTERVALS.get(name, ())
        else:
            wanted.append(name)
    return [n for n in dict.fromkeys(wanted) if n in facts.columns]


def _scan(catalog, facts, queries, limit, names, filters):
    import dask

    columns = list(dict.fromkeys([*names, 's_ra', 's_dec', VECTOR]))
    shared = dask.delayed((facts, queries, limit, names, filters))
    scan = dask.delayed(_scan_one)
    return compute(
        [scan(task, shared) for task in delayed(catalog, columns)], facts
    )


def _scan_one(frame, shared):
    return _partition.scan(frame, *shared)


def _fetch(catalog, facts, picked):
    """Read the rows that are in any of the results."""
    import dask

    rows = FoundRows(facts.columns, picked)
    tasks = delayed(catalog, list(facts.columns)) if rows.n else []
    kinds = {name: known['kind'] for name, known in facts.columns.items()}
    fetch = dask.delayed(_partition.fetch)
    rows.pieces = compute(
        [fetch(tasks[i], places, kinds) for i, places in rows.wanted()], facts
    )
    return rows
