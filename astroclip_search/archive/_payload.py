# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What a query of the service means, in full."""

import os

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from astroclip_search.exceptions import QueryError

__all__ = ['check_columns', 'place', 'serialisable']

_LARGEST_BOX = 60 * u.deg


def place(centre, *, needed, radius, width, height, region, moc):
    """
    Turn the ways to name a part of the sky into those of `search`.

    Parameters
    ----------
    centre : `~astropy.coordinates.SkyCoord` or None
        The centre.
    needed : bool
        Whether some part of the sky must be named.
    radius, width, height : angle or None
        Cone or box.
    region, moc : object or None
        Anything else.

    Returns
    -------
    query : dict
        ``position``, ``radius`` and ``region`` where they are given.
    """
    given = {
        'radius': radius is not None,
        'width and height': width is not None or height is not None,
        'region': region is not None,
        'moc': moc is not None,
    }
    names = [name for name, there in given.items() if there]
    if len(names) > 1:
        msg = f'{" and ".join(names)} were given: name one part of the sky'
        raise QueryError(msg)
    if not names:
        if needed or centre is not None:
            msg = (
                'The query has no extent: give radius=, width= and height=, '
                'region= or moc='
            )
            raise QueryError(msg)
        return {}
    if centre is None and names[0] in ('radius', 'width and height'):
        msg = f'{names[0]} was given without coordinates, the centre'
        raise QueryError(msg)
    query = {} if centre is None else {'position': centre}
    if radius is not None:
        return {**query, 'radius': _angle('radius', radius, 180 * u.deg)}
    if moc is not None:
        return {**query, 'region': moc}
    if region is None:
        region = _box(centre, width, height)
    return {**query, 'region': region}


def _angle(name, value, largest):
    try:
        angle = u.Quantity(value).to(u.deg)
    except (u.UnitsError, TypeError, ValueError) as exc:
        msg = f'{name}={value!r} is no angle: give it a unit (2*u.arcmin)'
        raise QueryError(msg) from exc
    if not angle.isscalar or not 0 < angle <= largest:
        msg = f'{name}={value} is not one angle above 0 and up to {largest}'
        raise QueryError(msg)
    return angle


def _box(centre, width, height):
    if width is None:
        width = height
    if height is None:
        height = width
    x = _angle('width', width, _LARGEST_BOX) / 2
    y = _angle('height', height, _LARGEST_BOX) / 2
    corners = centre.spherical_offsets_by(
        u.Quantity([-x, x, x, -x]), u.Quantity([-y, -y, y, y])
    )
    return SkyCoord(corners.ra, corners.dec)


def check_columns(result, columns):
    """Return a result with some columns, in the order asked for."""
    columns = [columns] if isinstance(columns, str) else list(columns)
    unknown = [name for name in columns if name not in result.colnames]
    if unknown or not columns:
        msg = (
            f'columns={columns} asks for {unknown or "nothing"}; there are '
            f'{", ".join(result.colnames)}'
        )
        raise QueryError(msg)
    return result[columns]


def serialisable(query):
    """
    Return a query as JSON can hold it, without what was not given.

    Angles become degrees, positions ``{'ra', 'dec'}`` in ICRS, and images
    the name of what they are.
    """
    found = {
        key: _plain(value) for key, value in query.items() if value is not None
    }
    for key in ('radius', 'size'):
        if key in found:
            found[key] = {'value': found[key], 'unit': 'deg'}
    return found


def _plain(value):
    if isinstance(value, SkyCoord):
        icrs = value.icrs
        return {'ra': icrs.ra.deg.tolist(), 'dec': icrs.dec.deg.tolist()}
    if isinstance(value, u.Quantity):
        if value.unit.is_equivalent(u.deg):
            value = value.to(u.deg)
            return value.value.tolist()
        return {'value': value.value.tolist(), 'unit': str(value.unit)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, 'serialize'):  # a MOC, or regions
        try:
            return value.serialize(format='json')
        except (TypeError, ValueError):
            return str(value)
    name = getattr(value, 'name', None)
    return name if isinstance(name, str) else f'<{type(value).__name__}>'
