# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Turn anything with pixels into a `SkyImage`."""

import io
import mmap
import os
from pathlib import Path

from astropy.io import fits
from astropy.nddata import NDData
from PIL import Image

from astroclip_search.exceptions import ImageError
from astroclip_search.images._arrays import (
    read_array,
    read_nddata,
    read_pair,
)
from astroclip_search.images._files import FitsFile, FitsList
from astroclip_search.images._fits import read_fits
from astroclip_search.images._pictures import read_picture
from astroclip_search.images._types import SkyImage
from astroclip_search.images._unpack import packing, unpack

__all__ = ['read_image']

_FITS = (b'SIMPLE  =', b'XTENSION=')


def read_image(source, *, hdu=None, plane=None):
    """
    Read an image from almost anything that holds one.

    Parameters
    ----------
    source : path, file object, HDU, NDData, array, tuple, PIL or `SkyImage`
        A path (FITS, also ``.gz``, ``.bz2``, ``.xz`` and tile-compressed;
        JPEG, PNG, TIFF); a file object opened in binary mode; an
        `~astropy.io.fits.HDUList` or an image HDU; an
        `~astropy.nddata.NDData` or ``CCDData``; a 2-D array, masked array or
        `~astropy.units.Quantity` (first row at the bottom); a ``uint8`` array
        of three or four colours, first or last (first row at the top); a
        pair of an array and an `~astropy.wcs.WCS` or
        `~astropy.io.fits.Header`; a `PIL.Image.Image`. A `SkyImage` passes
        through.

    hdu : int, str or (str, int), optional
        Extension of a FITS file, by number, name, or name and version. By
        default the first one named SCI, else the first that is not known to
        hold errors, flags or weights; `meta` says which.

    plane : int, tuple of int or {'sum', 'mean', 'median', 'max'}, optional
        Plane of a cube, counted from 0 along the first axis of the array, or
        a reduction over all planes. A cube is refused without it.

    Returns
    -------
    image : `SkyImage`
        The image. Pixels of files are read when they are needed.

    Raises
    ------
    ImageError
        If there is no image, it is damaged, or it needs a choice.

    Warns
    -----
    AstroClipWarning
        If the world coordinates are damaged and had to be dropped.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclip_search.images import read_image
    >>> read_image(np.eye(32)).shape
    (32, 32)
    """
    if isinstance(source, SkyImage):
        return source
    if isinstance(source, str | os.PathLike):
        if '://' in str(source):
            msg = f'{source} is an address; download it first'
            raise ImageError(msg)
        return _read_path(Path(source), hdu, plane)
    if isinstance(source, fits.HDUList):
        name = source.filename() or 'HDUList'
        return read_fits(FitsList(list(source), name), hdu=hdu, plane=plane)
    if isinstance(source, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU):
        return read_fits(FitsList([source], 'HDU'), plane=plane)
    if isinstance(source, NDData):
        return read_nddata(source)
    if isinstance(source, Image.Image):
        return read_picture(source, name=getattr(source, 'filename', '')
                            or 'PIL image')  # fmt: skip
    if hasattr(source, 'read'):
        return _read_file(source, hdu, plane)
    if isinstance(source, tuple) and len(source) == 2:
        return read_pair(*source)
    if hasattr(source, '__array__'):
        return read_array(source)
    msg = (
        f'{type(source).__name__} is no image: a path, file object, FITS '
        'HDU, NDData, array, (array, WCS) or PIL image is needed'
    )
    raise ImageError(msg)


def _read_path(path, hdu, plane):
    try:
        with path.open('rb') as file:
            start = file.read(9)
            packed = packing(start)
            if packed:
                data = unpack(file, packed, str(path))
            elif start.startswith(_FITS):
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            else:
                return read_picture(path, name=str(path))
    except OSError as exc:
        msg = f'{path} cannot be read ({exc.strerror or exc})'
        raise ImageError(msg) from exc
    return _read_bytes(data, str(path), hdu, plane)


def _read_file(file, hdu, plane):
    name = str(getattr(file, 'name', 'file object'))
    data = file.read()
    if not isinstance(data, bytes):
        msg = f'{name} gives text; open it in binary mode'
        raise ImageError(msg)
    packed = packing(data[:9])
    if packed:
        data = unpack(io.BytesIO(data), packed, name)
    return _read_bytes(data, name, hdu, plane)


def _read_bytes(data, name, hdu, plane):
    if bytes(data[:9]).startswith(_FITS):
        return read_fits(FitsFile(data, name), hdu=hdu, plane=plane)
    return read_picture(bytes(data), name=name)
