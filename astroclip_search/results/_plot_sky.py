# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Where the rows of a result lie on the sky."""

import numpy as np
from astropy import units as u

from astroclip_search.exceptions import QueryError
from astroclip_search.results._plot import BLUE, GREY, ORANGE, SKY, style

__all__ = []

# Results closer together than this (degrees) are drawn zoomed.
_ZOOM = 40.0


def plot_sky(result, *, coverage=None, zoom=None, dark=False):
    """Draw positions; see `SearchResult.plot_sky`."""
    coordinates = result.coordinates
    known = np.isfinite(coordinates.ra.deg)
    if not known.any():
        msg = 'no row has a position, so there is nothing to show on the sky'
        raise QueryError(msg)
    points = coordinates[known]
    centre = _centre(points)
    reach = float(points.separation(centre).deg.max())
    if zoom is None:
        zoom = reach < _ZOOM
    with style(dark=dark):
        import matplotlib.pyplot as plt
        from astropy.visualization.wcsaxes.frame import (
            EllipticalFrame,
            RectangularFrame,
        )

        wcs, shape = _wcs(centre, reach) if zoom else _all_sky()
        figure = plt.figure(figsize=(6.2, 5.2) if zoom else (8, 4.6))
        axes = figure.add_subplot(
            projection=wcs,
            frame_class=RectangularFrame if zoom else EllipticalFrame,
        )
        axes.set_xlim(-0.5, shape[1] - 0.5)
        axes.set_ylim(-0.5, shape[0] - 0.5)
        axes.set_aspect('equal')
        if coverage is not None and not coverage.empty():
            coverage.fill(ax=axes, wcs=wcs, color=GREY, alpha=0.5, linewidth=0,
                          label='coverage')  # fmt: skip
        x, y = wcs.world_to_pixel(points)
        # Symbols, not colours alone, tell the best rows from the others.
        best = np.arange(len(points)) < min(5, len(points))
        blue = SKY if dark else BLUE
        axes.plot(x[~best], y[~best], 'o', ms=5, mfc=blue, mec='none',
                  alpha=0.8, label='result')  # fmt: skip
        axes.plot(x[best], y[best], '*', ms=11, mfc=ORANGE, mec=GREY, mew=0.5,
                  label='best five')  # fmt: skip
        axes.grid(color=GREY, alpha=0.4, lw=0.5)
        ra, dec = axes.coords
        for angle in (ra, dec):
            angle.set_format_unit(u.deg, decimal=True)
            angle.set_ticks(number=5)
        if zoom:
            dec.set_axislabel('Dec (ICRS)')
            ra.set_axislabel('RA (ICRS)')
        else:
            # Along the equator, where labels and points meet.
            ra.set_ticks(np.arange(0, 360, 60) * u.deg)
            ra.set_ticklabel(fontsize=7, color=GREY)
            for angle in (ra, dec):
                angle.set_auto_axislabel(False)
                angle.set_major_formatter('d')
            dec.set_ticks(np.arange(-60, 61, 30) * u.deg)
            # The frame has one edge, so labels would come twice or not.
            dec.set_ticklabel_visible(False)
            _label_parallels(axes, wcs)
        figure.legend(frameon=False, loc='lower center', ncols=3, fontsize=8)
        figure.subplots_adjust(bottom=0.17 if zoom else 0.12)
        return figure


def _label_parallels(axes, wcs):
    """Write declinations left of the edge of the sky."""
    for angle in range(-60, 61, 30):
        x, y = wcs.wcs_world2pix(359.999, angle, 0)
        text = f'{angle:+d}°' if angle else '0°'
        axes.annotate(
            text.replace('-', '\N{MINUS SIGN}'),
            (x, y),
            (-5, np.sign(angle) * 4),
            textcoords='offset points',
            ha='right',
            va='center',
            annotation_clip=False,
        )


def _centre(points):
    from astropy.coordinates import SkyCoord

    xyz = points.cartesian.xyz.value.mean(axis=1)
    if np.linalg.norm(xyz) < 1e-6:  # all over the sky
        return points[0]
    return SkyCoord(
        np.degrees(np.arctan2(xyz[1], xyz[0])),
        np.degrees(np.arctan2(xyz[2], np.hypot(xyz[0], xyz[1]))),
        unit='deg',
    )


def _wcs(centre, reach):
    from astropy.wcs import WCS

    side = 500
    width = max(2.5 * reach, 0.02)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ['RA---TAN', 'DEC--TAN']
    wcs.wcs.crval = [centre.ra.deg, centre.dec.deg]
    wcs.wcs.crpix = [(side + 1) / 2] * 2
    wcs.wcs.cdelt = [-width / side, width / side]
    wcs.pixel_shape = (side, side)
    return wcs, (side, side)


def _all_sky():
    from astropy.wcs import WCS

    shape = (360, 720)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ['RA---MOL', 'DEC--MOL']
    wcs.wcs.crval = [180.0, 0.0]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    # The Mollweide ellipse is 4 sqrt(2) by 2 sqrt(2) radians.
    scale = np.degrees(4 * np.sqrt(2)) / shape[1]
    wcs.wcs.cdelt = [-scale, scale]
    wcs.pixel_shape = (shape[1], shape[0])
    return wcs, shape
