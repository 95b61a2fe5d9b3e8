# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Arrays, alone or with world coordinates, and what holds them."""

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS

from astroclip_search.exceptions import ImageError
from astroclip_search.images._facts import header_facts
from astroclip_search.images._flags import merge
from astroclip_search.images._types import SkyImage
from astroclip_search.images._wcs import read_wcs, warn_about

__all__ = []


def read_nddata(data):
    """Make a `SkyImage` of an `~astropy.nddata.NDData`."""
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


def read_pair(data, world):
    """Make a `SkyImage` of an array and a WCS or header."""
    if isinstance(world, fits.Header):
        wcs, problem = read_wcs(world)
        if problem is not None:
            warn_about(problem, 'header')
        return read_array(data, wcs=wcs, header=world)
    if world is None or isinstance(world, WCS):
        return read_array(data, wcs=world)
    low_level = getattr(world, 'low_level_wcs', None)
    if isinstance(low_level, WCS):
        return read_array(data, wcs=low_level)
    msg = (
        f'{type(world).__name__} beside an array is not understood; give an '
        'astropy WCS or FITS Header'
    )
    raise ImageError(msg)


def read_array(data, *, wcs=None, header=None):
    """Make a `SkyImage` of an array, masked array or Quantity."""
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
