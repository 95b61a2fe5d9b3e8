# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Filters by regions of the sky.

A region first gives a cone around it, which the HEALPix index serves; the
rows in the cone are then tested one by one, so nothing is approximated.
"""

import numpy as np

from astroclip_search.collections._filters import (
    Cone,
    check_position,
    cone_rows,
    moc_rows,
    positions,
)
from astroclip_search.collections._healpix import unit_vectors
from astroclip_search.exceptions import QueryError

__all__ = []

_FORMS = (
    'give a regions.SkyRegion, a mocpy.MOC, the vertices of a polygon as a '
    "SkyCoord, or a string: 'CIRCLE ra dec radius', 'RANGE ra1 ra2 dec1 "
    "dec2', 'POLYGON ra1 dec1 ra2 dec2 ra3 dec3 ...' in degrees"
)


def region_rows(snapshot, region, rows=None):
    """
    Rows in a region.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    region : object
        As `Collection.search` takes it.
    rows : (k,) `~numpy.ndarray` of int64, optional
        Rows to choose from.

    Returns
    -------
    rows : (m,) `~numpy.ndarray`, int64
        The chosen ones, ascending.

    Raises
    ------
    QueryError
        If it is none of the regions that can be tested.
    """
    if isinstance(region, str):
        return _string_rows(snapshot, region, rows)
    if hasattr(region, 'to_depth29_ranges'):
        return moc_rows(snapshot, region, rows)
    kind = type(region).__name__
    if kind == 'SkyCoord':
        return _polygon_rows(snapshot, region, rows)
    if kind == 'PolygonSkyRegion':
        return _polygon_rows(snapshot, region.vertices, rows)
    if kind == 'CircleSkyRegion':
        cone = Cone.from_position(region.center, region.radius)
        return cone_rows(snapshot, cone, rows)
    if kind == 'CompoundSkyRegion':
        return _compound_rows(snapshot, region, rows)
    if hasattr(region, 'center') and hasattr(region, 'to_pixel'):
        return _shape_rows(snapshot, region, rows)
    msg = f'region={region!r} is of no kind that can be tested; {_FORMS}'
    raise QueryError(msg)


def _string_rows(snapshot, text, rows):
    """Regions in the notation of SIA version 2 (POS) and DALI."""
    import astropy.units as u
    from astropy.coordinates import SkyCoord

    kind, *values = text.split()
    try:
        values = np.array([float(value) for value in values])
        valid = np.isfinite(values).all() or kind.upper() == 'RANGE'
    except ValueError:
        valid = False
    kind, n = kind.upper(), len(values)
    if valid and kind == 'CIRCLE' and n == 3:
        center = _sky(text, values[:1], values[1:2])[0]
        cone = Cone.from_position(center, values[2] * u.deg)
        return cone_rows(snapshot, cone, rows)
    if valid and kind == 'RANGE' and n == 4:
        return _range_rows(snapshot, values, rows)
    if valid and kind == 'POLYGON' and n >= 6 and n % 2 == 0:
        vertices = _sky(text, values[::2], values[1::2])
        return _polygon_rows(snapshot, SkyCoord(vertices), rows)
    msg = f'region={text!r} cannot be read; {_FORMS}'
    raise QueryError(msg)


def _sky(text, ra, dec):
    import astropy.units as u
    from astropy.coordinates import SkyCoord

    if (np.abs(dec) > 90).any():
        msg = f'region={text!r} has a declination beyond 90 deg'
        raise QueryError(msg)
    return SkyCoord(ra * u.deg, dec * u.deg)


def _range_rows(snapshot, values, rows):
    """Rows between two right ascensions and two declinations."""
    from astroclip_search.collections._where import where_rows

    low, high, bottom, top = values.tolist()
    ends = (None if np.isinf(low) else low, None if np.isinf(high) else high)
    return where_rows(snapshot, {'s_ra': ends, 's_dec': (bottom, top)}, rows)[
        0
    ]


def _polygon_rows(snapshot, vertices, rows):
    vertices = getattr(vertices, 'icrs', vertices)
    if vertices.ndim != 1 or len(vertices) < 3:
        msg = (
            f'a polygon needs three vertices or more, not {vertices.size}; '
            + _FORMS
        )
        raise QueryError(msg)
    corners = unit_vectors(vertices.ra.rad, vertices.dec.rad)
    cone = _around(corners)
    rows = cone_rows(snapshot, cone, rows)
    return rows[in_polygon(positions(snapshot, rows), corners)]


def _around(corners):
    """Smallest cone around the mean of corners that holds them all."""
    middle = corners.mean(axis=0)
    length = np.linalg.norm(middle)
    if length < 1e-9:
        msg = 'the vertices of the polygon go round the whole sky'
        raise QueryError(msg)
    middle /= length
    chord = np.linalg.norm(corners - middle, axis=1).max()
    if chord >= np.sqrt(2):
        msg = (
            'the polygon is wider than a hemisphere; give it in parts, or '
            'as a MOC'
        )
        raise QueryError(msg)
    return Cone(
        float(np.arctan2(middle[1], middle[0])),
        float(np.arctan2(middle[2], np.hypot(middle[0], middle[1]))),
        2 * np.arcsin(chord / 2) + 1e-12,
    )


def in_polygon(xyz, corners):
    """
    Test which positions lie in a polygon of great circles.

    Parameters
    ----------
    xyz : (n, 3) `~numpy.ndarray`
        Unit vectors.
    corners : (m, 3) `~numpy.ndarray`
        Unit vectors of its vertices, less than a hemisphere apart.

    Returns
    -------
    inside : (n,) `~numpy.ndarray` of bool
        True inside, whichever way round the vertices are given.

    Notes
    -----
    In the gnomonic projection about the middle great circles are straight
    lines; there the crossings of a ray are counted (Jordan curve theorem).
    """
    middle = corners.mean(axis=0)
    middle /= np.linalg.norm(middle)
    other = np.eye(3)[np.argmin(np.abs(middle))]
    east = np.cross(other, middle)
    east /= np.linalg.norm(east)
    north = np.cross(middle, east)

    def project(points):
        depth = points @ middle
        return points @ east / depth, points @ north / depth

    x, y = project(xyz)
    corner_x, corner_y = project(corners)
    inside = np.zeros(len(xyz), bool)
    for i in range(len(corners)):
        x1, y1 = corner_x[i - 1], corner_y[i - 1]
        x2, y2 = corner_x[i], corner_y[i]
        if y1 == y2:
            continue
        crossing = (y1 > y) != (y2 > y)
        inside ^= crossing & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return inside


def _compound_rows(snapshot, region, rows):
    import operator

    first = region_rows(snapshot, region.region1, rows)
    second = region_rows(snapshot, region.region2, rows)
    join = {
        operator.and_: np.intersect1d,
        operator.or_: np.union1d,
        operator.xor: np.setxor1d,
    }[region.operator]
    return join(first, second)


def _shape_rows(snapshot, region, rows):
    """Rectangles, ellipses, annuli: flat about their centre."""
    import astropy.units as u
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

    center = check_position(region.center)
    sizes = [
        getattr(region, name).to_value(u.rad)
        for name in ('width', 'height', 'outer_radius', 'outer_width',
                     'outer_height', 'radius')
        if hasattr(region, name)
    ]  # fmt: skip
    if not sizes:
        msg = f'region={region!r} has no extent; {_FORMS}'
        raise QueryError(msg)
    # The tangent plane stretches distances, so the cone is wide enough.
    reach = min(float(np.hypot(*sizes[:2]) if len(sizes) > 1 else sizes[0]), 1)
    rows = cone_rows(
        snapshot, Cone(center.ra.rad, center.dec.rad, reach), rows
    )
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = 'RA---TAN', 'DEC--TAN'
    wcs.wcs.crval = center.ra.deg, center.dec.deg
    scale = np.degrees(reach) / 1e4
    wcs.wcs.cdelt = -scale, scale
    x, y, z = positions(snapshot, rows).T
    points = SkyCoord(
        np.arctan2(y, x) * u.rad, np.arctan2(z, np.hypot(x, y)) * u.rad
    )
    if not len(rows):
        return rows
    return rows[region.contains(points, wcs)]
