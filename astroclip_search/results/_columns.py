# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Columns of numbers that may be unknown."""

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn
from astropy.utils.masked import Masked

from astroclip_search.obscore import COLUMNS

__all__ = []


def numbers(name, values, n):
    """
    Make a column of numbers, all of them masked where none are given.

    Parameters
    ----------
    name : str
        Name of the column.
    values : (n,) array_like of float or None
        The numbers.
    n : int
        Number of rows.

    Returns
    -------
    column : `~astropy.table.Column`
        float64.
    """
    if values is None:
        return _made(name, np.zeros(n), np.ones(n, dtype=bool))
    return _made(name, np.array(values, dtype=np.float64), None)


def result_column(name, column):
    """
    Make a column of a result of a column of any table, without a copy.

    The constructors of tables copy what is known of each column several
    times, which takes longer than a search.

    Parameters
    ----------
    name : str
        Name of the column.
    column : column, `~astropy.units.Quantity` or other mixin
        Its values.

    Returns
    -------
    column : same or similar class
        A Quantity where a unit is known; masked where a value is. Unit,
        description and UCD are completed.
    """
    if isinstance(column, Column):
        info, values = column, column.view(np.ndarray)
    elif isinstance(column, u.Quantity):
        info = column.info
        values = getattr(column, 'unmasked', column).view(np.ndarray)
    else:
        column = column.copy()
        column.info.name = name
        return column
    mask = getattr(column, 'mask', None)
    mask = mask if mask is not None and mask.any() else None
    return _made(name, values, mask, column.unit, info.description, info.meta)


def _made(name, values, mask, unit=None, description=None, meta=None):
    known = COLUMNS.get(name)
    meta = dict(meta or {})
    if known is not None:
        unit = unit or known.unit
        description = description or known.description
        meta.setdefault('ucd', known.ucd)
    if unit is None or values.dtype.kind not in 'fiu':
        told = {'name': name, 'description': description, 'meta': meta}
        if mask is None:
            return Column(values, unit=unit, copy=False, **told)
        return MaskedColumn(values, mask=mask, unit=unit, copy=False, **told)
    column = u.Quantity(values, unit, copy=None)
    if mask is not None:
        column = Masked(column, mask=mask)
    info = column.info
    info.name, info.description, info.meta = name, description, meta
    return column


def filled_floats(column):
    """
    Plain float64 values of a column, without unit, unknown ones as NaN.

    Parameters
    ----------
    column : column or `~astropy.units.Quantity`, masked or not
        Its values; angles are taken as they are.

    Returns
    -------
    values : (n,) `~numpy.ndarray` of float64
        A new array.
    """
    mask = getattr(column, 'mask', None)
    data = getattr(column, 'value', column)  # of a Quantity
    data = getattr(data, 'unmasked', data)  # of a Masked
    values = np.array(np.ma.getdata(data), dtype=np.float64)
    if mask is not None:
        values[np.broadcast_to(mask, values.shape)] = np.nan
    return values


def separation(result, position):
    """
    Measure how far rows are from a position.

    Parameters
    ----------
    result : `SearchResult`
        The rows.
    position : `~astropy.coordinates.SkyCoord`
        A scalar position.

    Returns
    -------
    separation : (n,) `~astropy.units.Quantity`
        In degrees; masked where the position of a row is unknown.
    """
    from astropy.coordinates import angular_separation

    # What SkyCoord.separation computes, without its making: a search of a
    # cone takes a few milliseconds in all.
    ra, dec = (np.radians(result._degrees(name)) for name in ('s_ra', 's_dec'))
    center = position.icrs
    values = np.degrees(
        angular_separation(center.ra.rad, center.dec.rad, ra, dec)
    )
    bad = ~np.isfinite(values)
    values = u.Quantity(values, u.deg)
    if bad.any():
        return Masked(values, mask=bad)
    return values
