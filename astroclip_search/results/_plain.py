# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Results as plain columns, and their provenance as plain text."""

import json

import numpy as np
from astropy.table import Column, MaskedColumn, Table

__all__ = []

PREFIX = 'astroclip_search'


def plain_table(result):
    """
    Turn quantities into columns with units, as file formats want them.

    Parameters
    ----------
    result : `~astropy.table.Table`
        A result.

    Returns
    -------
    table : `~astropy.table.Table`
        The same values, units, descriptions and UCDs, without ``meta``.
    """
    table = Table()
    for name in result.colnames:
        column = result[name]
        mask = getattr(column, 'mask', None)
        values = getattr(column, 'value', column)
        values = np.asarray(getattr(values, 'unmasked', values))
        if values.dtype.kind == 'O':
            values = values.astype(str)
        info = {
            'unit': column.info.unit,
            'description': column.info.description,
            'meta': dict(column.info.meta or {}),
        }
        if mask is not None and np.any(mask):
            if values.dtype.kind == 'U':
                # Formats without a null for texts write the text itself.
                values = np.where(mask, '', values)
            table[name] = MaskedColumn(values, mask=mask, **info)
        else:
            table[name] = Column(values, **info)
    return table


def flatten(meta):
    """
    Write provenance as text under plain names.

    Parameters
    ----------
    meta : dict
        Provenance of a result; JSON-safe values are kept as they are.

    Returns
    -------
    items : dict of str to str
        JSON text of each item.
    """
    return {
        str(key): json.dumps(_safe(value), ensure_ascii=True)
        for key, value in meta.items()
        if not str(key).startswith('__')
    }


def unflatten(items):
    """
    Read what `flatten` wrote.

    Parameters
    ----------
    items : dict of str to str
        JSON texts; a text that is no JSON stands for itself.

    Returns
    -------
    meta : dict
        The provenance.
    """
    meta = {}
    for key, text in items.items():
        try:
            meta[key] = json.loads(text)
        except ValueError:
            meta[key] = text
    return meta


def _safe(value):
    if isinstance(value, dict):
        return {str(k): _safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [_safe(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
