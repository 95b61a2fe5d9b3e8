# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The best rows of all partitions become results."""

from functools import cached_property

import numpy as np

from astroclip_search.scale._arrow import no_values

__all__ = []


def merge(best, i, limit):
    """
    Merge what partitions found for one query.

    Parameters
    ----------
    best : list of Best
        From each partition, in the order of the sky.
    i : int
        Number of the query.
    limit : int
        Most rows.

    Returns
    -------
    pairs : (k, 2) `~numpy.ndarray`, int64
        Partition and place of the best rows; equals in the order of the sky.
    similarity : (k,) `~numpy.ndarray`, float32
        Their cosines.
    """
    if not best:
        return np.empty((0, 2), np.int64), np.empty(0, np.float32)
    places = np.concatenate([part.places[i] for part in best])
    values = np.concatenate([part.similarity[i] for part in best])
    parts = np.repeat(np.arange(len(best)), limit)
    order = np.lexsort((places, parts, -values))
    order = order[places[order] >= 0][:limit]
    return np.stack([parts[order], places[order]], axis=1), values[order]


def join(pieces, columns):
    """
    Join columns of several partitions.

    Parameters
    ----------
    pieces : list of dict
        Values and mask of each column, from each partition.
    columns : dict
        What is known of each column.

    Returns
    -------
    joined : dict
        Values and mask of each column.
    """
    joined = {}
    for name, facts in columns.items():
        parts = [piece[name] for piece in pieces]
        parts = parts or [no_values(facts['kind'])]
        values, masks = zip(*parts, strict=True)
        if facts['kind'] == 'str':
            values = [text for part in values for text in part]
        else:
            values = np.concatenate(values)
        joined[name] = values, np.concatenate(masks)
    return joined


class FoundRows:
    """
    Columns of the rows that are in any of several results.

    Parameters
    ----------
    columns : dict
        What is known of each column.
    picked : list of tuple
        What `merge` returned for each query.

    Attributes
    ----------
    n : int
        Number of different rows.
    pieces : list of dict
        Values and masks of the rows of each partition that `wanted` names.
    """

    def __init__(self, columns, picked):
        self.columns = columns
        pairs = np.concatenate([pairs for pairs, _ in picked])
        self._pairs = np.unique(pairs, axis=0)
        self._width = int(self._pairs[:, 1].max(initial=0)) + 1
        self.n = len(self._pairs)
        self.pieces = []

    def wanted(self):
        """
        Say which rows are to be read.

        Returns
        -------
        wanted : list of (int, (k,) `~numpy.ndarray`)
            Number of a partition and places in it.
        """
        parts = self._pairs[:, 0]
        return [(int(i), self._pairs[parts == i, 1]) for i in np.unique(parts)]

    @cached_property
    def _joined(self):
        return join(self.pieces, self.columns)

    def table(self, pairs):
        """
        Make a table of some of the rows.

        Parameters
        ----------
        pairs : (k, 2) `~numpy.ndarray`, int64
            Partition and place of each.

        Returns
        -------
        table : `~astropy.table.Table`
            Unknown values are masked.
        """
        from astropy.table import Table

        from astroclip_search.collections._columns import choose, to_column

        known, mine = (
            both[:, 0] * self._width + both[:, 1]
            for both in (self._pairs, pairs)
        )
        rows, n = np.searchsorted(known, mine), len(pairs)
        columns = {}
        for name, (values, mask) in self._joined.items():
            piece = (np.arange(n), choose(values, rows), mask[rows])
            columns[name] = to_column([piece], n, self.columns[name])
        return Table(columns, copy=False)


def tell(facts, best, told):
    """
    Say where a result comes from.

    Parameters
    ----------
    facts : CatalogFacts
        What is known of the catalogue.
    best : list of Best
        What partitions found.
    told : dict
        What is known of the query.

    Returns
    -------
    meta : dict
        Catalogue, model, rendering, counts.
    """
    counts = {}
    for part in best:
        for name, n in part.counts.items():
            counts[name] = counts.get(name, 0) + int(n)
    if facts.rows is not None:
        counts['collection'] = facts.rows
    return {
        **told,
        'collection': facts.name,
        'collection_path': facts.home,
        'model': facts.model,
        'fingerprint': facts.fingerprint,
        'rendering': facts.rendering_facts,
        'counts': counts,
        'partitions': len(best),
    }


def to_result(
    rows,
    pairs,
    *,
    similarity,
    rates,
    position,
    max_false_match_rate,
    meta,
):
    """
    Make a result for one query.

    Parameters
    ----------
    rows : FoundRows
        Where the columns are.
    pairs, similarity : `~numpy.ndarray`
        As `merge` returns them.
    rates : BackgroundRates or None
        False-match rates.
    position, max_false_match_rate : object
        As `Collection.search` takes them.
    meta : dict
        Provenance.

    Returns
    -------
    result : `~astroclip_search.results.SearchResult`
        The rows, best first.
    """
    from astroclip_search.results import SearchResult

    rate = None if rates is None else rates(similarity)
    if max_false_match_rate is not None and rate is not None:
        keep = rate <= max_false_match_rate
        pairs, similarity, rate = pairs[keep], similarity[keep], rate[keep]
    meta['background_rows'] = 0 if rates is None else rates.n
    return SearchResult.from_rows(
        rows.table(pairs),
        similarity=similarity,
        false_match_rate=rate,
        position=position,
        meta=meta,
    )
