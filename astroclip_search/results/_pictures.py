# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The pictures of a result's rows, with their scale and orientation."""

import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from astroclip_search.exceptions import AstroClipError

__all__ = []


@dataclass(frozen=True)
class Picture:
    """
    A picture and what is known of its geometry.

    Attributes
    ----------
    pixels : (H, W, 3) `~numpy.ndarray` of uint8 or None
        The picture, or nothing.
    pixel_scale : float or None
        Arcseconds for a pixel.
    north : (2,) `~numpy.ndarray` or None
        Unit vector towards north, in pixels to the right and down.
    """

    pixels: np.ndarray | None
    pixel_scale: float | None = None
    north: np.ndarray | None = None


def pictures(result, *, fetch=False, size=224):
    """
    Find a picture for each row.

    Parameters
    ----------
    result : `SearchResult`
        The rows.
    fetch : bool, optional
        Whether to download pictures from ``access_url``.
    size : int, optional
        Pixels along a side of pictures made from files.

    Yields
    ------
    picture : `Picture`
        From the file of the row if it is at hand, since that knows its WCS;
        else its thumbnail; else, if asked, its address.
    """
    addresses = _texts(result, 'access_url')
    for address, thumbnail in zip(addresses, result.thumbnails, strict=True):
        path = local_path(address)
        if path is not None and path.is_file():
            picture = _read(path, size)
            if picture.pixels is not None:
                yield picture
                continue
        if thumbnail is not None:
            yield _decode(thumbnail)
        elif fetch and address.startswith(('http://', 'https://')):
            yield _fetch(address, size)
        else:
            yield Picture(None)


def local_path(address):
    """
    Path of a file that an address names.

    Parameters
    ----------
    address : str
        A path, a ``file:`` address, or anything else.

    Returns
    -------
    path : `~pathlib.Path` or None
        The path, which need not exist; None for other addresses.
    """
    if not address:
        return None
    parts = urlsplit(address)
    if parts.scheme == 'file':
        return Path(unquote(parts.path))
    # A drive letter looks like a scheme of one character.
    return Path(address) if len(parts.scheme) <= 1 else None


def _texts(result, name):
    if name not in result.colnames:
        return [''] * len(result)
    hidden = getattr(result[name], 'mask', False)
    hidden = np.broadcast_to(hidden, len(result))
    return [
        '' if bad else str(value)
        for value, bad in zip(result[name], hidden, strict=True)
    ]


def _decode(data):
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return Picture(np.asarray(image.convert('RGB')))
    except (OSError, ValueError, SyntaxError):
        return Picture(None)


def _read(path, size):
    from astroclip_search.images import read_image, render

    try:
        image = read_image(path)
        pixels = render(image, size=size, fit='pad')
    except AstroClipError:
        return Picture(None)
    shape = image.shape[:2]
    reduction = max(shape) / size
    pixels, geometry = _trim(pixels, shape), _geometry(image)
    if geometry is None:
        return Picture(pixels)
    scale, north = geometry
    return Picture(pixels, scale * reduction, north)


def _trim(pixels, shape):
    """Cut away the padding, which says nothing here."""
    size = pixels.shape[0]
    height, width = (max(1, round(n * size / max(shape))) for n in shape)
    top, left = (size - height) // 2, (size - width) // 2
    return pixels[top : top + height, left : left + width]


def _geometry(image):
    """Arcseconds for a pixel, and where north is, at the centre."""
    if image.wcs is None or image.coordinates is None:
        return None
    from astropy import units as u
    from astropy.wcs.utils import proj_plane_pixel_scales

    centre = image.coordinates
    scale = float(np.mean(proj_plane_pixel_scales(image.wcs.celestial))) * 3600
    above = centre.directional_offset_by(0 * u.deg, scale * u.arcsec)
    (x0, y0), (x1, y1) = (
        image.wcs.celestial.world_to_pixel(c) for c in (centre, above)
    )
    down = -1.0 if image.origin == 'lower' else 1.0
    north = np.array([x1 - x0, down * (y1 - y0)], dtype=float)
    length = np.hypot(*north)
    if not np.isfinite(length) or length == 0:
        return None
    return scale, north / length


def _fetch(address, size):
    import tempfile

    from astroclip_search.archive import download

    with tempfile.TemporaryDirectory() as folder:
        try:
            report = download([address], folder, progress=False)
        except AstroClipError:
            return Picture(None)
        files = [p for p in Path(folder).rglob('*') if p.is_file()]
        del report
        return _read(files[0], size) if files else Picture(None)
