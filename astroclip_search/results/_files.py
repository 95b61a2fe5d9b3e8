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

import numpy as np
from astropy.table import QTable
from astropy.table.connect import TableRead, TableWrite

from astroclip_search.exceptions import AstroClipError
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
            _check_ascii(table)
            table.meta[KEYWORD] = json.dumps(unflatten(flatten(result.meta)))
            # FITS has no place for UCDs in a binary table; they come back
            # from the column names.
            for name in table.colnames:
                table[name].info.meta = {}
        return table.write(*args, serialize_method=serialize_method, **kwargs)


def _check_ascii(table):
    for name in table.colnames:
        if table[name].dtype.kind != 'U':
            continue
        for text in np.ma.getdata(table[name]).tolist():
            if not text.isascii():
                msg = (
                    f'column {name!r} holds {text[:40]!r}, but texts in FITS '
                    'are ASCII; write ECSV, VOTable or Parquet, or leave the '
                    'column out'
                )
                raise AstroClipError(msg)


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
        if form == 'fits':
            table = _mask_empty(table)
        if KEYWORD in table.meta:
            table.meta = json.loads(table.meta[KEYWORD])
        result = self._cls(table, copy=False)
        return annotate(result)


def _read_votable(cls, source):
    from astropy.io.votable import parse

    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    votable = parse(source)
    tree = votable.get_first_table()
    table = tree.to_table(use_names_over_ids=True)
    result = cls(_mask_empty(table), copy=False)
    for name in result.colnames:
        # A note of the reader to the writer.
        (result[name].info.meta or {}).pop('_votable_string_dtype', None)
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
    """Mask empty texts: FITS and VOTable have no other null."""
    from astropy.table import MaskedColumn

    for name in table.colnames:
        column = table[name]
        dtype = getattr(column, 'dtype', None)
        if dtype is None or dtype.kind not in 'SUO':
            continue
        empty = [str(value) == '' for value in np.ma.getdata(column)]
        if any(empty):
            hidden = MaskedColumn(column, copy=False)
            hidden.mask = empty
            table[name] = hidden
    return table
