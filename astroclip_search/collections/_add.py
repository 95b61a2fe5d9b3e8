# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Rows that are added: with vectors, or images to be embedded."""

from dataclasses import dataclass

import numpy as np
from astropy.table import QTable, Table

from astroclip_search.collections._change import writing
from astroclip_search.collections._prepare import prepare
from astroclip_search.exceptions import CollectionError

__all__ = ['AddReport']


@dataclass(frozen=True)
class AddReport:
    """
    What became of rows that were added.

    Attributes
    ----------
    added : int
        Rows that are new, or whose file has changed.
    unchanged : int
        Rows that were there already.
    failures : `~astropy.table.QTable`
        Columns ``id``, ``access_url`` and ``reason``.
    """

    added: int
    unchanged: int
    failures: QTable

    def __repr__(self):
        return (
            f'<AddReport: {self.added} added, {self.unchanged} unchanged, '
            f'{len(self.failures)} failed>'
        )


def add(
    collection,
    items,
    *,
    vectors=None,
    ids=None,
    progress=None,
    tiles=None,
    thumbnails=None,
):
    """
    Do what `Collection.add` promises.

    Parameters
    ----------
    collection : Collection
        The collection.
    items, vectors, ids, progress, tiles, thumbnails : object
        As there.

    Returns
    -------
    report : AddReport
        What became of them.
    """
    if vectors is None:
        from astroclip_search.collections._embed import add_images

        return add_images(
            collection,
            items,
            ids=ids,
            progress=progress,
            tiles=tiles,
            thumbnails=thumbnails,
        )
    if items is not None and not isinstance(items, Table):
        msg = (
            f'vectors were given for {type(items).__name__}; give a Table '
            'with one row for each vector'
        )
        raise CollectionError(msg)
    return add_rows(collection, items, vectors, ids)


def add_rows(collection, table, vectors, ids=None):
    """
    Add rows that have vectors, all of them or none.

    Parameters
    ----------
    collection : Collection
        The collection.
    table : `~astropy.table.Table` or None
        Columns.
    vectors : (n, d) array_like
        Vectors.
    ids : sequence of str, optional
        Ids, in place of those of the table.

    Returns
    -------
    report : AddReport
        What became of them.
    """
    with writing(collection) as writer:
        snapshot = writer.snapshot
        rows, ids = prepare(
            table,
            vectors,
            dim=snapshot.manifest.dim,
            known=snapshot.facts,
            ids=ids,
        )
        there = snapshot.locate(ids, rows.keys)
        if (there >= 0).any():
            twice = ids[int(np.flatnonzero(there >= 0)[0])]
            msg = (
                f'the id {twice!r} is in the collection already; remove it '
                'first, or use update()'
            )
            raise CollectionError(msg)
        if len(rows):
            writer.commit(segments=writer.write(rows))
    return AddReport(len(rows), 0, no_failures())


def no_failures():
    """
    Make an empty table of failures.

    Returns
    -------
    failures : `~astropy.table.QTable`
        Columns ``id``, ``access_url`` and ``reason``.
    """
    return failures_of([])


def failures_of(rows):
    """
    Make a table of failures.

    Parameters
    ----------
    rows : list of tuple of str
        Id, address and reason of each.

    Returns
    -------
    failures : `~astropy.table.QTable`
        Columns ``id``, ``access_url`` and ``reason``.
    """
    return QTable(
        rows=rows or None,
        names=('id', 'access_url', 'reason'),
        dtype=(str, str, str),
    )
