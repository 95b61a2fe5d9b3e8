# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Parts of images around positions on the sky."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from astroclip_search.exceptions import ImageError
from astroclip_search.images._place import pixel_scales, shifted, to_pixel
from astroclip_search.images._read import read_image
from astroclip_search.images._types import SkyImage

__all__ = ['cutout']

MAX_PIXELS = 1 << 28


def cutout(source, position, *, size):
    """
    Cut a part out of an image, around a position on the sky.

    Parameters
    ----------
    source : `SkyImage` or anything that `read_image` takes
        An image with world coordinates. Of a file, only the part is read.

    position : `~astropy.coordinates.SkyCoord`
        One position, in any frame.

    size : `~astropy.units.Quantity`
        Height and width as angles or in pixels (``u.pix``): one value, or
        two in this order.

    Returns
    -------
    image : `SkyImage`
        The part, of whole pixels. Pixels beyond the edge of the image are
        masked (and NaN, or 0 where there are only whole numbers). Its world
        coordinates are those of the whole with all distortions; ``meta``
        has the ``'corner'`` (x, y) of the part in the whole.

    Raises
    ------
    ImageError
        If the position lies outside the image, the image has no world
        coordinates, or the size is a bare number.

    Notes
    -----
    An angle is turned into pixels with the scale at the position, distortions
    included.
    """
    image = read_image(source)
    if image.wcs is None:
        msg = (
            f'{image.meta.get("source")} has no world coordinates, so there '
            'is no position in it; slice the array instead'
        )
        raise ImageError(msg)
    if not isinstance(position, SkyCoord) or not position.isscalar:
        msg = f'position={position!r} is not one SkyCoord'
        raise ImageError(msg)
    height, width = image.shape
    place = to_pixel(image.wcs, position)
    if (
        place is None
        or not -0.5 <= place[0] < width - 0.5
        or not -0.5 <= place[1] < height - 0.5
    ):
        msg = (
            f'{position.to_string("hmsdms", precision=1)} lies outside '
            f'{image.meta.get("source")} ({width} x {height} pixels)'
        )
        raise ImageError(msg)
    high, wide = _in_pixels(size, image.wcs, place)
    left = round(place[0] - (wide - 1) / 2)
    bottom = round(place[1] - (high - 1) / 2)
    part = part_of(image, left, bottom, wide, high)
    return part.with_meta(position=position)


def _in_pixels(size, wcs, place):
    """Height and width in whole pixels of a size as the user gave it."""
    if not isinstance(size, u.Quantity) or size.size not in (1, 2):
        msg = (
            f'size={size!r} has no unit; give one or two (height, width) as '
            'a Quantity, for example 30 * u.arcsec or 64 * u.pix'
        )
        raise ImageError(msg)
    sides = np.broadcast_to(size.ravel(), (2,), subok=True)
    if sides.unit.is_equivalent(u.pix):
        pixels = sides.to_value(u.pix)
    elif sides.unit.is_equivalent(u.deg):
        pixels = sides.to_value(u.deg) / pixel_scales(wcs, *place)
    else:
        msg = f'size={size} is neither an angle nor in pixels'
        raise ImageError(msg)
    good = np.isfinite(pixels).all() and (pixels > 0).all()
    if not good or np.prod(np.maximum(pixels, 1)) > MAX_PIXELS:
        msg = (
            f'size={size} is {pixels[1]:.3g} x {pixels[0]:.3g} pixels here; '
            f'between 2 and {MAX_PIXELS} in all are possible'
        )
        raise ImageError(msg)
    high, wide = (max(2, round(n)) for n in pixels)
    return high, wide


def part_of(image, left, bottom, wide, high):
    """
    Cut a rectangle out of an image, padding it where it hangs over.

    Parameters
    ----------
    image : `SkyImage`
        The whole.

    left, bottom : int
        First pixel of the part, which may be negative.

    wide, high : int
        Size of the part.

    Returns
    -------
    part : `SkyImage`
        The part, in memory.
    """
    height, width = image.shape
    rows = slice(max(0, bottom), min(height, bottom + high))
    columns = slice(max(0, left), min(width, left + wide))
    data = image._pixels.section(rows, columns)
    flags = None if image._flags is None else image._flags[rows, columns]
    if data.shape[:2] != (high, wide):
        inside = (
            slice(rows.start - bottom, rows.stop - bottom),
            slice(columns.start - left, columns.stop - left),
        )
        fill = np.nan if data.dtype.kind == 'f' else 0
        whole = np.full((high, wide, *data.shape[2:]), fill, data.dtype)
        whole[inside] = data
        outside = np.ones((high, wide), bool)
        outside[inside] = False if flags is None else flags
        data, flags = whole, outside
    return SkyImage(
        data,
        wcs=None if image.wcs is None else shifted(image.wcs, left, bottom),
        mask=flags,
        unit=image.unit,
        meta={**image.meta, 'corner': (left, bottom)},
        origin=image.origin,
    )
