# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Footprints of results: MOCs and regions."""

import re

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from astroclip_search._optional import require
from astroclip_search.exceptions import QueryError

__all__ = []

_SHAPE = re.compile(
    r'(POLYGON|CIRCLE)\s+(?:ICRS|J2000|FK5)?\s*(?:GEOCENTER|BARYCENTER|'
    r'TOPOCENTER|UNKNOWNREFPOS)?\s*((?:[-+]?[\d.]+(?:[eE][-+]?\d+)?\s*)+)',
    re.IGNORECASE,
)


def shapes(text):
    """
    Read the polygons and circles of an STC-S footprint.

    Parameters
    ----------
    text : str
        As ``'POLYGON ICRS 10 20 11 20 11 21'``; unions give several shapes.

    Returns
    -------
    shapes : list of (str, (n,) `~numpy.ndarray`)
        ``'POLYGON'`` with longitudes and latitudes in turn, or ``'CIRCLE'``
        with longitude, latitude and radius, all in degrees. What cannot be
        read is left out.
    """
    found = []
    for kind, numbers in _SHAPE.findall(text):
        values = np.array(numbers.split(), dtype=float)
        kind = kind.upper()
        polygon = len(values) >= 6 and len(values) % 2 == 0
        if polygon if kind == 'POLYGON' else len(values) == 3:
            found.append((kind, values))
    return found


def footprints(result):
    """
    Find the footprint of each row.

    Parameters
    ----------
    result : `SearchResult`
        The rows.

    Returns
    -------
    rows : list of (int, list)
        Index of each row that has a position, and its shapes as `shapes`
        gives them: its ``s_region``, else a circle of its ``s_fov``, else a
        circle of radius 0.
    """
    ra = result._degrees('s_ra')
    dec = result._degrees('s_dec')
    fov = result._degrees('s_fov')
    if 's_region' in result.colnames:
        hidden = getattr(result['s_region'], 'mask', np.zeros(len(result)))
        regions = [
            '' if bad else str(text)
            for text, bad in zip(
                result['s_region'],
                np.broadcast_to(hidden, len(result)),
                strict=True,
            )
        ]
    else:
        regions = [''] * len(result)
    rows = []
    for i, text in enumerate(regions):
        found = shapes(text)
        if not found and np.isfinite(ra[i] + dec[i]):
            radius = fov[i] / 2 if np.isfinite(fov[i]) else 0.0
            found = [('CIRCLE', np.array([ra[i], dec[i], radius]))]
        if found:
            rows.append((i, found))
    return rows


def to_moc(result, *, max_depth):
    """
    Make the MOC of the footprints of all rows.

    Parameters
    ----------
    result : `SearchResult`
        The rows; those without a position are left out.
    max_depth : int
        HEALPix order of the smallest cells, 0 to 29.

    Returns
    -------
    moc : `mocpy.MOC`
        Their union.
    """
    from mocpy import MOC

    if not 0 <= max_depth <= 29:
        msg = f'max_depth={max_depth} is not a HEALPix order; give 0 to 29'
        raise QueryError(msg)
    mocs = [MOC.new_empty(max_depth)]
    for _, found in footprints(result):
        for kind, values in found:
            lon, lat = values[0::2] * u.deg, values[1::2] * u.deg
            if kind == 'POLYGON':
                mocs.append(MOC.from_polygon(lon, lat, max_depth=max_depth))
            elif values[2] > 0:
                mocs.append(
                    MOC.from_cone(
                        values[0] * u.deg,
                        values[1] * u.deg,
                        radius=values[2] * u.deg,
                        max_depth=max_depth,
                    )
                )
            else:
                mocs.append(
                    MOC.from_lonlat(
                        values[:1] * u.deg,
                        values[1:2] * u.deg,
                        max_norder=max_depth,
                    )
                )
    moc = mocs[0]
    return moc.union(*mocs[1:]) if len(mocs) > 1 else moc


def to_regions(result):
    """
    Make regions of the footprints of all rows.

    Parameters
    ----------
    result : `SearchResult`
        The rows; those without a position are left out.

    Returns
    -------
    regions : `regions.Regions`
        Sky polygons, circles and points (ICRS), labelled with the target.
    """
    module = require('regions', extra='images', purpose='make regions')
    labels = [''] * len(result)
    for name in ('id', 'target_name'):
        if name in result.colnames:
            hidden = getattr(result[name], 'mask', np.zeros(len(result)))
            hidden = np.broadcast_to(hidden, len(result))
            labels = [
                label if bad else str(value)
                for label, value, bad in zip(
                    labels, result[name], hidden, strict=True
                )
            ]
    out = []
    for i, found in footprints(result):
        # Braces and line ends would end the label in a DS9 file.
        label = re.sub(r'[{}\r\n]', ' ', labels[i])
        meta = module.RegionMeta({'text': label})
        for kind, values in found:
            if kind == 'POLYGON':
                vertices = SkyCoord(values[0::2], values[1::2], unit='deg')
                out.append(module.PolygonSkyRegion(vertices, meta=meta))
                continue
            centre = SkyCoord(values[0], values[1], unit='deg')
            if values[2] > 0:
                radius = values[2] * u.deg
                out.append(module.CircleSkyRegion(centre, radius, meta=meta))
            else:
                out.append(module.PointSkyRegion(centre, meta=meta))
    return module.Regions(out)
