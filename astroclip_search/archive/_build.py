# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Collections made from archives."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from astropy.config import get_cache_dir
from astropy.table import QTable, Table, vstack

from astroclip_search.archive._cache import PACKAGE
from astroclip_search.archive._download import download
from astroclip_search.archive._mapping import to_obscore
from astroclip_search.archive._mast import mast_previews
from astroclip_search.archive._payload import serialisable
from astroclip_search.archive._replies import as_rows
from astroclip_search.archive._vo import vo_table
from astroclip_search.exceptions import QueryError

__all__ = [
    'BuildReport',
    'collection_from_mast',
    'collection_from_table',
    'collection_from_vo',
]

_PICTURES = ('image/', 'application/fits', 'application/octet-stream')


@dataclass(frozen=True)
class BuildReport:
    """
    What came of building a collection from an archive.

    Attributes
    ----------
    collection : `~astroclip_search.Collection`
        The collection.
    added, unchanged : int
        Rows that are new, and rows that were there already.
    failures : `~astropy.table.QTable`
        ``id``, ``access_url`` and ``reason`` of rows that are not in it.
    """

    collection: object
    added: int
    unchanged: int
    failures: QTable


def collection_from_mast(
    criteria,
    *,
    path,
    embedder=None,
    limit=None,
    folder=None,
    cache=True,
    progress=None,
):
    """
    Make a collection of the previews of observations in MAST, or add to one.

    The list of previews and the pictures stay where they were fetched, so a
    run that was interrupted goes on, and everything can be built again
    without a network.

    Parameters
    ----------
    criteria : dict
        What `mast_previews` takes, for example ``{'obs_collection': 'HST',
        'proposal_id': ['9634', '10775']}``.
    path : str or path-like
        Directory of the collection; rows are added to one that is there.
    embedder : `~astroclip_search.Embedder`, optional
        The model; the default is that of the collection, or ``conf.model``.
    limit : int, optional
        Most previews.
    folder : str or path-like, optional
        Where the pictures go; the default is in Astropy's cache.
    cache : bool, optional
        Whether a list that was made earlier for the same criteria will do.
    progress : bool, optional
        Whether to show progress bars; default ``conf.progress``.

    Returns
    -------
    report : `~astroclip_search.archive.BuildReport`
        The collection, and what failed.

    Raises
    ------
    QueryError, ArchiveError
        As in `mast_previews`.
    CollectionError
        If the collection cannot be written, or is of another model.
    """
    folder = _folder(folder)
    query = serialisable({**criteria, 'limit': limit})
    key = hashlib.sha256(json.dumps(query, sort_keys=True).encode())
    listing = folder / f'mast-{key.hexdigest()[:16]}.ecsv'
    if cache and listing.is_file():
        previews = QTable.read(listing)
    else:
        previews = mast_previews(limit=limit, progress=progress, **criteria)
        folder.mkdir(parents=True, exist_ok=True)
        part = listing.with_suffix('.part')
        previews.write(part, format='ascii.ecsv', overwrite=True)
        part.replace(listing)
    return _build(previews, path, embedder, folder, progress)


def collection_from_vo(
    results, *, path, embedder=None, limit=None, folder=None, progress=None
):
    """
    Make a collection of the images of a Virtual Observatory query.

    Parameters
    ----------
    results : `pyvo.dal.DALResults`
        What SIA (1 or 2) or ObsTAP gave, by `pyvo.dal.sia.search`,
        `pyvo.dal.sia2.search` or a TAP query on ``ivoa.obscore``. Rows that
        are no pictures or FITS files are listed as failures.
    path, embedder, limit, folder, progress
        As in `collection_from_mast`.

    Returns
    -------
    report : `~astroclip_search.archive.BuildReport`
        The collection, and what failed.

    Raises
    ------
    ArchiveError
        If the results list no images.
    CollectionError
        As in `collection_from_mast`.
    """
    table = to_obscore(vo_table(results))[:limit]
    return _build(table, path, embedder, _folder(folder), progress)


def collection_from_table(
    table,
    *,
    path,
    url_column='access_url',
    embedder=None,
    limit=None,
    folder=None,
    progress=None,
):
    """
    Make a collection of a table with addresses of images.

    Parameters
    ----------
    table : `~astropy.table.Table`, str or path-like
        Columns that ObsCore knows are kept, with their units. Also a stored
        reply of an archive, see `to_obscore`.
    url_column : str, optional
        The column with the addresses.
    path, embedder, limit, folder, progress
        As in `collection_from_mast`.

    Returns
    -------
    report : `~astroclip_search.archive.BuildReport`
        The collection, and what failed.

    Raises
    ------
    QueryError
        If there is no such column.
    ArchiveError, CollectionError
        As in `collection_from_mast`.
    """
    if isinstance(table, Table) and url_column != 'access_url':
        if url_column not in table.colnames:
            msg = (
                f'The table has no column {url_column!r}, only '
                f'{", ".join(table.colnames)}'
            )
            raise QueryError(msg)
        table = table.copy(copy_data=False)
        if 'access_url' in table.colnames:
            table.remove_column('access_url')
        table.rename_column(url_column, 'access_url')
    table = to_obscore(table)
    if 'access_url' not in table.colnames:
        msg = 'The table has no addresses of images: name the column of them'
        raise QueryError(msg)
    return _build(table[:limit], path, embedder, _folder(folder), progress)


def _folder(folder):
    if folder is None:
        return Path(get_cache_dir(PACKAGE)) / 'pictures'
    return Path(folder)


def _build(table, path, embedder, folder, progress):
    """Fetch the pictures of a table, and add the rows that have one."""
    from astroclip_search.collections import Collection
    from astroclip_search.embedding import Embedder

    collection = None
    if (Path(path) / 'manifest.json').is_file():
        # Before anything is fetched: it may be of another model.
        collection = Collection.open(path, embedder=embedder)
    rows = as_rows(table)
    reasons = {k: why for k, row in enumerate(rows) if (why := _unfit(row))}
    wanted = [k for k in range(len(rows)) if k not in reasons]
    urls = [rows[k]['access_url'] for k in wanted]
    fetched = download(urls, folder, progress=progress)
    failed = dict(fetched.failures.iterrows())
    good, paths = [], []
    for k, url, file in zip(wanted, urls, fetched.paths, strict=True):
        if file is None:
            reasons[k] = failed[url]
        else:
            good.append(k)
            paths.append(os.fspath(file.resolve()))
    if collection is None:
        embedder = embedder or Embedder.from_pretrained()
        collection = Collection.create(path, embedder=embedder)
    items = table[good]
    items['path'] = paths
    report = collection.add(items, progress=progress)
    failures = QTable(
        [
            [rows[k]['id'] for k in reasons],
            [rows[k].get('access_url') or '' for k in reasons],
            list(reasons.values()),
        ],
        names=('id', 'access_url', 'reason'),
        dtype=(str, str, str),
    )
    if len(report.failures):
        failures = vstack([failures, report.failures])
    return BuildReport(collection, report.added, report.unchanged, failures)


def _unfit(row):
    """Why a row is not even fetched, or None."""
    if not row.get('access_url'):
        return 'the archive gives no address of a picture'
    kind = (row.get('access_format') or '').lower()
    if kind and not kind.startswith(_PICTURES):
        return f'its format, {kind}, is no picture'
    return None
