# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Columns of numbers that may be unknown."""

import numpy as np
from astropy.table import Column, MaskedColumn

__all__ = []


def floats(values, n):
    """
    Make a column of numbers, all of them masked where none are given.

    Parameters
    ----------
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
        return MaskedColumn(np.zeros(n), mask=np.ones(n, dtype=bool))
    return Column(np.asarray(values, dtype=np.float64))


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
    from astropy import units as u
    from astropy.coordinates import angular_separation

    # What SkyCoord.separation computes, without its making: a search of a
    # cone takes a few milliseconds in all.
    ra, dec = (
        np.radians(result._degrees(name)) for name in ('s_ra', 's_dec')
    )
    center = position.icrs
    values = np.degrees(
        angular_separation(center.ra.rad, center.dec.rad, ra, dec)
    )
    bad = ~np.isfinite(values)
    values = u.Quantity(values, u.deg)
    if bad.any():
        from astropy.utils.masked import Masked

        return Masked(values, mask=bad)
    return values
