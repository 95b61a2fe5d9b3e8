# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Catalogues and results joined with others by position."""

import warnings

import numpy as np

from astroclip_search._optional import require
from astroclip_search.exceptions import AstroClipWarning, QueryError
from astroclip_search.scale import _partition
from astroclip_search.scale._arrow import new_columns
from astroclip_search.scale._catalog import compute, open_catalog
from astroclip_search.scale._facts import CatalogFacts
from astroclip_search.scale._merge import join

__all__ = ['crossmatch']

_ROW = '_acs_row'


def crossmatch(rows, other, *, radius, n_neighbors=1, suffix='_other'):
    """
    Join rows with those of another HATS catalogue that lie near them.

    Of a catalogue it makes a catalogue that `search_hats` takes, so that
    "images like this within 1 arcsec of a Gaia source" is::

        search_hats(crossmatch(mine, gaia, radius=1 * u.arcsec), query)

    Of a result it makes the result with the rows that have a neighbour.

    Parameters
    ----------
    rows : path-like, `lsdb.catalog.Catalog` or SearchResult
        A catalogue that `to_hats` wrote, or what a search returned.
    other : path-like or `lsdb.catalog.Catalog`
        Any HATS catalogue. With a margin no neighbour across the edge of a
        partition is lost.
    radius : `~astropy.units.Quantity`
        Greatest distance, an angle above 0.
    n_neighbors : int, optional
        Most neighbours of a row, nearest first; each makes a row.
    suffix : str, optional
        What is added to names of columns of ``other`` that are taken.

    Returns
    -------
    joined : `lsdb.catalog.Catalog` or SearchResult
        Rows with a neighbour, their columns and those of the neighbour, and
        the distance in the column ``_dist_arcsec``.

    Raises
    ------
    QueryError
        If the radius is no angle, or the number of neighbours none.
    CollectionError
        If a catalogue cannot be read.
    MissingDependencyError
        If the extra ``scale`` is not installed.

    Warns
    -----
    AstroClipWarning
        If ``other`` has no margin.
    """
    from astroclip_search.results import SearchResult

    unit = getattr(radius, 'unit', None)
    if unit is None or unit.physical_type != 'angle' or not radius > 0 * unit:
        msg = f'radius={radius!r} is no angle above 0; give 1 * u.arcsec, say'
        raise QueryError(msg)
    if not isinstance(n_neighbors, int | np.integer) or n_neighbors < 1:
        msg = f'n_neighbors={n_neighbors!r} is no number of neighbours'
        raise QueryError(msg)
    options = {
        'radius_arcsec': float(radius.to_value('arcsec')),
        'n_neighbors': int(n_neighbors),
        'suffixes': ('', suffix),
        'suffix_method': 'overlapping_columns',
    }
    other = open_catalog(other)
    if isinstance(rows, SearchResult):
        return _join_result(rows, other, options)
    rows = open_catalog(rows)
    facts = CatalogFacts.of(rows.hc_structure)
    # Rows without a position have no neighbours, and trees refuse them.
    joined = _match(rows.map_partitions(_placed), other, options)
    facts.pass_on(joined.hc_structure)
    return joined


def _placed(frame):
    return frame[frame['s_ra'].notna() & frame['s_dec'].notna()]


def _match(left, right, options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        joined = left.crossmatch(right, **options)
    if any('margin' in str(warning.message) for warning in caught):
        msg = (
            f'catalogue {right.name!r} has no margin: neighbours across the '
            'edges of its partitions are lost'
        )
        warnings.warn(msg, AstroClipWarning, stacklevel=4)
    return joined


def _join_result(result, other, options):
    import dask
    from astropy.table import Table

    from astroclip_search.collections._columns import choose, to_column

    lsdb = require('lsdb', extra='scale', purpose='join HATS catalogues')
    place = result.coordinates
    known = np.flatnonzero(np.isfinite(place.ra.deg))
    if not len(known):
        return result[:0]
    frame = lsdb.from_astropy(
        Table(
            {
                _ROW: known,
                f'{_ROW}_ra': place.ra.deg[known],
                f'{_ROW}_dec': place.dec.deg[known],
            }
        ),
        ra_column=f'{_ROW}_ra',
        dec_column=f'{_ROW}_dec',
    )
    joined = _match(frame, other, options)
    columns = {
        name: facts
        for name, facts in new_columns(joined.dtypes, {}).items()
        if not name.startswith(_ROW)
    }
    kinds = {_ROW: 'int', **{n: f['kind'] for n, f in columns.items()}}
    facts = CatalogFacts(dim=0, home=str(other.hc_structure.catalog_path))
    take = dask.delayed(_partition.take)
    parts = compute([take(t, kinds) for t in joined.to_delayed()], facts)
    found = join(parts, {_ROW: {'kind': 'int'}, **columns})
    rows, _ = found.pop(_ROW)
    order = np.lexsort((found['_dist_arcsec'][0], rows))
    made, n = result[rows[order]], len(rows)
    for name, (values, mask) in found.items():
        piece = (np.arange(n), choose(values, order), mask[order])
        suffix = options['suffixes'][1] if name in made.colnames else ''
        made[f'{name}{suffix}'] = to_column([piece], n, columns[name])
    return made
