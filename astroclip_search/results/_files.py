# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Reading and writing results.

ECSV keeps everything by itself, and Parquet with our own writer. FITS keeps no
nested ``meta`` and VOTable none at all, so the provenance travels in a header
keyword of the one and in INFO elements of the other.
"""

import json
import os
from pathlib import Path

from astropy.table import QTable
from astropy.table.connect import TableRead, TableWrite

from astroclip_search.results import _parquet
from astroclip_search.results._plain import (
    PREFIX,
    flatten,
    plain_table,
    unflatten,
)

__all__ = []

KEYWORD = 'PROVENAN'
_VOTABLE = ('.vot', '.votable', '.xml')
_FITS = ('.fits', '.fit', '.fts', '.fits.gz')


def _form(args, kwargs):
    """Kind of file that needs our help, or None."""
    name = kwargs.get('format')
    if name in ('fits', 'votable', 'parquet'):
        return name
    if name is None and args and isinstance(args[0], str | os.PathLike):
        path = os.fspath(args[0]).lower()
        if path.endswith(_VOTABLE):
            return 'votable'
        if path.endswith(_FITS):
            return 'fits'
        if path.endswith(('.parquet', '.pq')):
            return 'parquet'
    return None


class ResultWrite(TableWrite):
    """``result.write``, as `~astropy.table.Table.write`."""

    def __call__(self, *args, serialize_method=None, **kwargs):
        """Write a result, with its provenance in any format."""
        result = self._instance
        form = _form(args, kwargs)
        if form == 'votable':
            return _write_votable(result, *args, **kwargs)
        if form == 'parquet':
            kwargs.pop('format', None)
            return _parquet.write(result, *args, **kwargs)
        table = QTable(result, copy=False)
        table.meta = unflatten(flatten(result.meta))
        if form == 'fits':
            table = plain_table(result)
            table.meta[KEYWORD] = json.dumps(unflatten(flatten(result.meta)))
            # FITS has no place for UCDs in a binary table; they come back
            # from the column names.
            for name in table.colnames:
                table[name].info.meta = {}
        return table.write(*args, serialize_method=serialize_method, **kwargs)


def _write_votable(result, output, *, overwrite=False, format=None):  # noqa: A002
    if isinstance(output, str | os.PathLike):
        path = Path(output)
        if path.exists() and not overwrite:
            msg = f'file {str(path)!r} exists; overwrite=True replaces it'
            raise OSError(msg)
        output = str(path)
    result.to_votable().to_xml(output)


class ResultRead(TableRead):
    """``SearchResult.read``, as `~astropy.table.Table.read`."""

    def __call__(self, *args, **kwargs):
        """Read a result, with its provenance from any format."""
        from astroclip_search.obscore import annotate

        form = _form(args, kwargs)
        if form == 'votable':
            kwargs.pop('format', None)
            return _read_votable(self._cls, *args, **kwargs)
        if form == 'parquet':
            kwargs.pop('format', None)
            table = _parquet.read(*args, **kwargs)
        else:
            table = QTable.read(*args, **kwargs)
        if KEYWORD in table.meta:
            table.meta = json.loads(table.meta[KEYWORD])
        result = self._cls(_mask_empty(table), copy=False)
        return annotate(result)


def _read_votable(cls, source):
    from astropy.io.votable import parse

    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    votable = parse(source)
    tree = votable.get_first_table()
    table = tree.to_table(use_names_over_ids=True)
    result = cls(_mask_empty(table), copy=False)
    prefix = f'{PREFIX}.'
    result.meta = unflatten(
        {
            info.name.removeprefix(prefix): info.value
            for resource in votable.resources
            for info in resource.infos
            if info.name.startswith(prefix)
        }
    )
    return result


def _mask_empty(table):
    """Mask empty texts: formats without a null for texts have no other."""
    from astropy.table import MaskedColumn

    for name in table.colnames:
        column = table[name]
        dtype = getattr(column, 'dtype', None)
        if dtype is None or dtype.kind not in 'SUO':
            continue
        empty = [str(value) in ('', '--') for value in column]
        if any(empty):
            hidden = MaskedColumn(column, copy=False)
            hidden.mask = empty
            table[name] = hidden
    return table
