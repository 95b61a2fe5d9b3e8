# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Catalogues of LSDB: opened, pruned, computed."""

import os
from pathlib import Path

import numpy as np

from astroclip_search._optional import require
from astroclip_search.exceptions import AstroClipError, CollectionError
from astroclip_search.scale._arrow import new_columns
from astroclip_search.scale._facts import (
    ORDER,
    VECTOR,
    CatalogFacts,
    open_structure,
)

__all__ = []


def open_catalog(catalog):
    """
    Open a catalogue with all its columns, if it is not open.

    Parameters
    ----------
    catalog : path-like or `lsdb.catalog.Catalog`
        The catalogue.

    Returns
    -------
    catalog : `lsdb.catalog.Catalog`
        The catalogue, of which nothing has been read.

    Raises
    ------
    CollectionError
        If there is none.
    """
    lsdb = require(
        'lsdb', extra='scale', purpose='search and join HATS catalogues'
    )
    if hasattr(catalog, 'hc_structure'):
        return catalog
    if not isinstance(catalog, str | os.PathLike):
        msg = (
            f'{type(catalog).__name__} is no HATS catalogue; give its '
            'directory or what lsdb.open_catalog returns'
        )
        raise CollectionError(msg)
    open_structure(catalog)
    return lsdb.open_catalog(catalog, columns='all')


def facts_of(catalog):
    """
    Read what a catalogue tells, and see that it has what is needed.

    Parameters
    ----------
    catalog : `lsdb.catalog.Catalog`
        The catalogue.

    Returns
    -------
    facts : CatalogFacts
        Its columns are those that are open, joined ones among them.

    Raises
    ------
    CollectionError
        If vectors, ids or positions are missing, or it tells nothing.
    """
    facts = CatalogFacts.of(catalog.hc_structure)
    for name in ('id', 's_ra', 's_dec', VECTOR):
        if name not in catalog.columns:
            msg = (
                f'catalogue {facts.name!r} has no column {name!r}; open it '
                "with lsdb.open_catalog(path, columns='all'), or write it "
                'with Collection.to_hats'
            )
            raise CollectionError(msg)
    facts.columns = {
        **{n: f for n, f in facts.columns.items() if n in catalog.columns},
        **new_columns(catalog.dtypes, facts.columns),
    }
    return facts


def prune(catalog, filters):
    """
    Leave out partitions that a cone or a MOC does not meet.

    Parameters
    ----------
    catalog : `lsdb.catalog.Catalog`
        The catalogue.
    filters : dict
        As `Collection.search` takes them.

    Returns
    -------
    catalog : `lsdb.catalog.Catalog` or None
        The others; None where there are none.
    """
    from astroclip_search.collections._filters import check_position

    if 'radius' in filters:
        centre = check_position(filters['position'])
        # A little more, so that nothing on the edge is lost.
        radius = filters['radius'].to_value('arcsec') * (1 + 1e-9) + 1e-3
        if radius < 60 * 3600:
            catalog = _search(
                catalog, 'cone_search', centre.ra.deg, centre.dec.deg, radius
            )
    for name in ('moc', 'region'):
        if catalog is not None and hasattr(
            filters.get(name), 'to_depth29_ranges'
        ):
            catalog = _search(catalog, 'moc_search', filters[name])
    return catalog


def _search(catalog, name, *args):
    """Search coarsely; None where no partition is met."""
    try:
        found = getattr(catalog, name)(*args, fine=False)
    except ValueError as exc:
        if 'empty' in str(exc).lower() or 'no ' in str(exc).lower():
            return None
        raise
    return found if found.npartitions else None


def delayed(catalog, columns):
    """
    Make tasks that read partitions.

    Parameters
    ----------
    catalog : `lsdb.catalog.Catalog` or None
        The catalogue.
    columns : list of str
        Columns to read.

    Returns
    -------
    tasks : list of `dask.delayed.Delayed`
        In the order of the sky.
    """
    if catalog is None:
        return []
    pixels = catalog.get_ordered_healpix_pixels()
    place = [pixel.pixel << 2 * (ORDER - pixel.order) for pixel in pixels]
    tasks = catalog[columns].to_delayed()
    return [tasks[i] for i in np.argsort(place, kind='stable')]


def compute(tasks, facts):
    """
    Compute tasks on the Dask cluster there is.

    Parameters
    ----------
    tasks : list of `dask.delayed.Delayed`
        The tasks.
    facts : CatalogFacts
        What a message names.

    Returns
    -------
    values : list
        What they return.

    Raises
    ------
    CollectionError
        If a partition cannot be read.
    """
    import dask

    if not tasks:
        return []
    try:
        return list(dask.compute(*tasks))
    except AstroClipError:
        raise
    # What reading, a remote store or a cluster may raise has no limits.
    except Exception as exc:
        msg = (
            f'catalogue {facts.name!r} cannot be searched: '
            f'{_unreadable(facts) or f"{type(exc).__name__}: {exc}"}'
        )
        raise CollectionError(msg) from exc


def _unreadable(facts):
    """Say which partition cannot be read, if one is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in sorted(Path(facts.home).glob('dataset/**/*.parquet')):
        try:
            with pq.ParquetFile(file) as parquet:
                for i in range(parquet.num_row_groups):
                    parquet.read_row_group(i)
        except (OSError, pa.ArrowException) as exc:
            return (
                f'partition {str(file)!r} cannot be read ({exc}); restore '
                'it, or write the catalogue again'
            )
    return None
