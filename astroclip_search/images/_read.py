# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Turn anything with pixels into a `SkyImage`."""

import bz2
import gzip
import io
import lzma
import mmap
import os
import zlib
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData
from astropy.wcs import WCS
from PIL import Image

from astroclip_search.exceptions import ImageError
from astroclip_search.images._fits import FitsFile, FitsList, read_fits
from astroclip_search.images._flags import merge
from astroclip_search.images._pictures import read_picture
from astroclip_search.images._types import SkyImage
from astroclip_search.images._wcs import read_wcs, warn_about

__all__ = ['read_image']

_PACKED = {b'\x1f\x8b': 'gzip', b'BZh': 'bz2', b'\xfd7zXZ': 'xz'}
# Empty frames shrink a thousandfold, so the size alone tells no bomb from one.
_FREE_UNPACKED = 512 << 20
_MAX_UNPACKED = 4 << 30
_MAX_GROWTH = 20
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
        return _read_path(Path(source), hdu, plane)
    if isinstance(source, fits.HDUList):
        name = source.filename() or 'HDUList'
        return read_fits(FitsList(list(source), name), hdu=hdu, plane=plane)
    if isinstance(source, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU):
        return read_fits(FitsList([source], 'HDU'), plane=plane)
    if isinstance(source, NDData):
        return _read_nddata(source)
    if isinstance(source, Image.Image):
        return read_picture(source, name=getattr(source, 'filename', '')
                            or 'PIL image')  # fmt: skip
    if hasattr(source, 'read'):
        return _read_file(source, hdu, plane)
    if isinstance(source, tuple) and len(source) == 2:
        return _read_pair(*source)
    if isinstance(source, np.ndarray):
        return _read_array(source)
    msg = (
        f'{type(source).__name__} is no image: a path, file object, FITS '
        'HDU, NDData, array, (array, WCS) or PIL image is needed'
    )
    raise ImageError(msg)


def _read_path(path, hdu, plane):
    try:
        with path.open('rb') as file:
            start = file.read(9)
            packed = _packing(start)
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
    packed = _packing(data[:9])
    if packed:
        data = unpack(io.BytesIO(data), packed, name)
    return _read_bytes(data, name, hdu, plane)


def _read_bytes(data, name, hdu, plane):
    if bytes(data[:9]).startswith(_FITS):
        return read_fits(FitsFile(data, name), hdu=hdu, plane=plane)
    return read_picture(bytes(data), name=name)


def _packing(start):
    return next((p for key, p in _PACKED.items() if start.startswith(key)), '')


def unpack(file, packing, name):
    """Decompress a file, within bounds."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    limit = min(_MAX_UNPACKED, max(_FREE_UNPACKED, _MAX_GROWTH * size))
    opener = {'gzip': gzip.open, 'bz2': bz2.open, 'xz': lzma.open}[packing]
    try:
        data = bytearray()
        with opener(file, 'rb') as stream:
            while len(data) <= limit and (chunk := stream.read(1 << 20)):
                data += chunk
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as exc:
        msg = (
            f'{name} cannot be decompressed ({exc}): it is damaged or cut '
            'off; fetch it again'
        )
        raise ImageError(msg) from exc
    if len(data) > limit:
        msg = (
            f'{name} grows from {size} to more than {limit} bytes when '
            'decompressed, which is refused; decompress it by hand'
        )
        raise ImageError(msg)
    return data


def _read_nddata(data):
    flags = None if data.mask is None else np.asarray(data.mask, dtype=bool)
    wcs = data.wcs
    low_level = getattr(wcs, 'low_level_wcs', wcs)
    meta = dict(data.meta) if data.meta else {}
    header = fits.Header()
    for key, value in meta.items():
        if isinstance(value, str | int | float) and len(str(key)) <= 8:
            header[str(key)] = value
    return _from_array(
        np.asarray(data.data),
        wcs=low_level if isinstance(low_level, WCS) else None,
        header=header,
        mask=flags,
        unit=data.unit,
        name=type(data).__name__,
    )


def _read_pair(data, world):
    if isinstance(data, NDData | SkyImage | str | os.PathLike):
        data = read_image(data).data
    if isinstance(world, fits.Header):
        wcs, problem = read_wcs(world)
        if problem is not None:
            warn_about(problem, 'header')
        return _read_array(data, wcs=wcs, header=world)
    if world is None or isinstance(world, WCS):
        return _read_array(data, wcs=world)
    low_level = getattr(world, 'low_level_wcs', None)
    if isinstance(low_level, WCS):
        return _read_array(data, wcs=low_level)
    msg = (
        f'{type(world).__name__} beside an array is not understood; give an '
        'astropy WCS or FITS Header'
    )
    raise ImageError(msg)


def _read_array(data, *, wcs=None, header=None):
    unit = mask = None
    if isinstance(data, u.Quantity):
        unit, data = data.unit, data.value
    if isinstance(data, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(data)
        data = data.data
    return _from_array(
        np.asarray(data), wcs=wcs, header=header, mask=mask, unit=unit,
        name='array',
    )  # fmt: skip


def _from_array(data, *, wcs, header, mask, unit, name):
    from astroclip_search.images._facts import header_facts

    if data.dtype.kind not in 'biuf' or data.dtype.itemsize > 8:
        msg = (
            f'an array of {data.dtype} holds no pixel values; real numbers '
            'of at most 64 bits are needed'
        )
        raise ImageError(msg)
    if data.dtype.kind == 'b' or data.dtype == np.float16:
        data = data.astype(np.uint8 if data.dtype.kind == 'b' else np.float32)
    origin = 'lower'
    while data.ndim > 2 and 1 in data.shape[:-2]:
        data = np.squeeze(data, axis=data.shape[:-2].index(1))
    if data.ndim == 3:
        data = _colours(data)
        mask = None if mask is None else mask.reshape(mask.shape[-3:])
        if mask is not None and mask.shape != data.shape[:2]:
            mask = mask.any(axis=2 if mask.shape[2] in (3, 4) else 0)
        origin = 'upper' if wcs is None else 'lower'
    if (data.ndim != 2 and data.ndim != 3) or min(data.shape[:2]) < 2:
        msg = (
            f'an array of shape {data.shape} is no picture: at least 2 x 2 '
            'pixels are needed'
        )
        raise ImageError(msg)
    if wcs is not None:
        wcs = _celestial(wcs)
    if mask is not None:
        mask = merge(mask.reshape(data.shape[:2]))
    meta = {
        'source': name,
        'header': header_facts(header) if header is not None else {},
        'notes': [],
    }
    return SkyImage(data, wcs, mask, unit, meta, origin)


def _celestial(wcs):
    if wcs.naxis == 2:
        return wcs if wcs.has_celestial else None
    return wcs.celestial if wcs.has_celestial else None


def _colours(data):
    """Bring an array of three or four colours into the form (H, W, 3)."""
    if data.shape[2] not in (3, 4) and data.shape[0] in (3, 4):
        data = np.moveaxis(data, 0, 2)
    if data.shape[2] not in (3, 4):
        msg = (
            f'an array of shape {data.shape} is a cube: choose a plane, as '
            'array[0], or a reduction, as array.sum(axis=0)'
        )
        raise ImageError(msg)
    if data.dtype == np.uint16:
        data = (data // 257).astype(np.uint8)
    elif data.dtype.kind == 'f' and data.min() >= 0 and data.max() <= 1:
        data = np.rint(data * 255).astype(np.uint8)
    elif data.dtype != np.uint8:
        msg = (
            f'three colours of {data.dtype} from {data.min()} to '
            f'{data.max()} are no picture: give uint8, floats from 0 to 1, '
            'or combine three images with compose_rgb'
        )
        raise ImageError(msg)
    if data.shape[2] == 4:
        alpha = data[..., 3:].astype(np.uint16)
        data = ((data[..., :3] * alpha + 127) // 255).astype(np.uint8)
    return data
