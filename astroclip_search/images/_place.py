# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Positions in images, distortions included."""

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import DistortionLookupTable, Sip
from astropy.wcs.utils import (
    pixel_to_skycoord,
    skycoord_to_pixel,
    wcs_to_celestial_frame,
)

from astroclip_search.images._quiet import quiet

__all__ = []


def centre(wcs, shape):
    """
    ICRS position of the centre of an image.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Celestial world coordinates.

    shape : tuple of int
        Height and width.

    Returns
    -------
    position : `~astropy.coordinates.SkyCoord` or None
        None where the centre lies outside the projection, or the frame is
        not one of the sky.
    """
    position = to_sky(wcs, (shape[1] - 1) / 2, (shape[0] - 1) / 2)
    if position is None or not np.isfinite(position.ra.deg):
        return None
    return position


def to_sky(wcs, x, y):
    """ICRS positions of pixels (0-based), or None for frames of another."""
    with quiet():
        try:
            wcs_to_celestial_frame(wcs)
            sky = pixel_to_skycoord(x, y, wcs, mode='all')
            return SkyCoord(sky.icrs.ra, sky.icrs.dec)
        except Exception:  # solar, planetary, damaged frames
            return None


def shifted(wcs, x, y):
    """
    World coordinates of a part of an image.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        World coordinates of the whole.

    x, y : int
        Pixel of the whole that is the first of the part (0-based).

    Returns
    -------
    wcs : `~astropy.wcs.WCS`
        A copy; SIP polynomials and lookup tables move along, which slicing
        a `~astropy.wcs.WCS` does not do for the tables.
    """
    new = wcs.deepcopy()
    offset = np.array([x, y], dtype=float)
    new.wcs.crpix = wcs.wcs.crpix - offset
    if wcs.sip is not None:
        sip = wcs.sip
        new.sip = Sip(sip.a, sip.b, sip.ap, sip.bp, sip.crpix - offset)
    for name in ('cpdis1', 'cpdis2', 'det2im1', 'det2im2'):
        table = getattr(wcs, name)
        if table is not None:
            moved = DistortionLookupTable(
                table.data,
                tuple(table.crpix),
                tuple(np.asarray(table.crval) - offset),
                tuple(table.cdelt),
            )
            setattr(new, name, moved)
    new.wcs.set()
    return new


def to_pixel(wcs, position):
    """
    Pixel of a position, distortions included.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        World coordinates.

    position : `~astropy.coordinates.SkyCoord`
        One position.

    Returns
    -------
    x, y : float or None
        0-based pixel; None where the position cannot be projected.
    """
    with quiet():
        try:
            x, y = skycoord_to_pixel(position, wcs, origin=0, mode='all')
            x, y = float(x), float(y)
            # A projection maps some positions of the far side as well.
            back = pixel_to_skycoord(x, y, wcs, origin=0, mode='all')
            if not back.separation(position.icrs).arcsec < 1:
                return None
        except Exception:  # no convergence, solar frames
            return None
    return x, y


def pixel_scales(wcs, x, y):
    """Height and width of a pixel in degrees, at a pixel."""
    around = to_sky(
        wcs,
        np.array([x - 0.5, x + 0.5, x, x]),
        np.array([y, y, y - 0.5, y + 0.5]),
    )
    wide, high = around[0::2].separation(around[1::2]).deg
    return high, wide
