# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Results as Parquet files.

The reader of astropy needs pandas; this one needs pyarrow alone. Units,
descriptions and UCDs stand in the metadata of the fields.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np

from astroclip_search.results._plain import (
    PREFIX,
    flatten,
    plain_table,
    unflatten,
)

__all__ = []


def write(result, path, *, overwrite=False):
    """
    Write a result as a Parquet file.

    Parameters
    ----------
    result : `~astropy.table.Table`
        A result.
    path : str or path-like
        The file, which appears when it is complete.
    overwrite : bool, optional
        Whether an existing file may be replaced.

    Raises
    ------
    OSError
        If the file exists and may not be replaced.
    """
    import pyarrow as pa
    from pyarrow import parquet

    path = Path(path)
    if path.exists() and not overwrite:
        msg = f'file {str(path)!r} exists; overwrite=True replaces it'
        raise OSError(msg)
    arrays, fields = [], []
    table = plain_table(result)
    for name in table.colnames:
        column = table[name]
        mask = getattr(column, 'mask', None)
        array = pa.array(np.asarray(column), mask=mask)
        about = {
            'unit': '' if column.unit is None else column.unit.to_string(),
            'description': column.info.description or '',
            'ucd': (column.info.meta or {}).get('ucd', ''),
        }
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=about))
    meta = {PREFIX: json.dumps(unflatten(flatten(result.meta)))}
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix='.parquet')
    os.close(handle)
    try:
        parquet.write_table(
            pa.table(arrays, schema=pa.schema(fields, metadata=meta)),
            temporary,
        )
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path):
    """
    Read what `write` wrote, or any flat Parquet file.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    table : `~astropy.table.Table`
        Columns with units, descriptions and UCDs; ``meta`` is the
        provenance.
    """
    import pyarrow as pa
    from astropy.table import Column, MaskedColumn, Table
    from pyarrow import parquet

    data = parquet.read_table(Path(path))
    table = Table()
    for field, chunks in zip(data.schema, data.columns, strict=True):
        array = chunks.combine_chunks()
        mask = array.is_null().to_numpy(zero_copy_only=False)
        about = {
            key.decode(): value.decode()
            for key, value in (field.metadata or {}).items()
        }
        info = {
            'unit': about.get('unit') or None,
            'description': about.get('description') or None,
            'meta': {'ucd': about['ucd']} if about.get('ucd') else None,
        }
        if pa.types.is_string(array.type):
            values = np.array(array.fill_null('').to_pylist(), dtype=str)
        else:
            values = array.fill_null(0).to_numpy(zero_copy_only=False)
        column = MaskedColumn if mask.any() else Column
        extra = {'mask': mask} if mask.any() else {}
        table[field.name] = column(values, **extra, **info)
    text = (data.schema.metadata or {}).get(PREFIX.encode())
    if text:
        table.meta = json.loads(text)
    return table
