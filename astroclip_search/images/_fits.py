# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Images out of FITS files and HDU lists."""

import math
import re

import numpy as np
from astropy import units as u

from astroclip_search.exceptions import ImageError
from astroclip_search.images._facts import header_facts
from astroclip_search.images._flags import flagged
from astroclip_search.images._hdus import card
from astroclip_search.images._pixels import ArrayPixels
from astroclip_search.images._quiet import quiet
from astroclip_search.images._types import SkyImage
from astroclip_search.images._wcs import names_sky, read_wcs, warn_about

__all__ = []

# Extensions that accompany an image and are not one of the sky.
_COMPANION = re.compile(
    '(ERR|ERROR|SIGMA|UNCERT|UNCERTAINTY|NOISE|RMS|DQ|QUALITY|FLAGS?|MASK|BPM'
    '|WHT|WEIGHTS?|CTX|CON|VAR|VARIANCE|IVAR|SAMP|TIME|EXP|SEG|SEGM|CONTAM'
    '|AREA|RESPONSE|PSF|WCSDVARR|D2IMARR)(?![A-Z])'
)
_REDUCTIONS = {
    'sum': np.nansum,
    'mean': np.nanmean,
    'median': np.nanmedian,
    'max': np.nanmax,
}
MIN_SIDE = 2


def read_fits(file, *, hdu=None, plane=None):
    """
    Make a `SkyImage` of a FITS file or list.

    Parameters
    ----------
    file : `FitsFile` or `FitsList`
        The extensions.

    hdu : int, str or (str, int), optional
        Which extension; by default the first that holds a science image.

    plane : int, tuple of int, or str, optional
        Which plane of a cube, or a reduction over all planes.

    Returns
    -------
    image : `SkyImage`
        The image, its pixels still in the file.
    """
    ext, notes = _choose(file, hdu)
    primary = file.extensions[0].header
    index = _plane_index(file, ext, plane)
    if isinstance(index, str):
        pixels = _reduced(file, ext, index)
    else:
        pixels = file.pixels(ext, index)
    if min(pixels.shape) < MIN_SIDE:
        msg = (
            f'{file.source}: extension {ext.index} is '
            f'{pixels.shape[1]} x {pixels.shape[0]} pixels, which is no '
            'picture; name another with hdu='
        )
        raise ImageError(msg)

    def table(other):
        if math.prod(other.shape) > 1 << 24:
            return None
        return file.pixels(other).read()

    wcs, problem = read_wcs(ext.header, file.extensions, table=table)
    if problem is not None:
        warn_about(problem, file.source)
        notes.append(problem)
    flags, note = flagged(file, ext, pixels)
    if note:
        notes.append(note)
    meta = {
        'source': file.source,
        'hdu': ext.index,
        'extname': ext.name,
        'header': header_facts(primary, ext.header),
        'notes': notes,
    }
    return SkyImage(
        pixels, wcs=wcs, mask=flags, unit=_unit(ext.header), meta=meta
    )


def _choose(file, hdu):
    """Pick the extension asked for, or the first that is of the sky."""
    images = [ext for ext in file.extensions if len(ext.shape) >= 2]
    if hdu is not None:
        chosen = [ext for ext in file.extensions if _named(ext, hdu)]
        if not chosen or chosen[0] not in images:
            has = ', '.join(_label(ext) for ext in images) or 'none'
            msg = (
                f'{file.source}: hdu={hdu!r} is no image extension; those '
                f'with an image are: {has}'
            )
            raise ImageError(msg)
        return chosen[0], []
    useful = [ext for ext in images if math.prod(ext.shape) > 0]
    if not useful:
        kinds = ', '.join(_label(ext) for ext in file.extensions)
        msg = (
            f'{file.source} holds no image: its extensions ({kinds}) are '
            'tables or have no data'
        )
        raise ImageError(msg)
    science = [ext for ext in useful if ext.name in ('SCI', 'IMAGE')]
    plain = [ext for ext in useful if not _companion(ext)]
    of_sky = [ext for ext in plain if names_sky(ext.header)]
    ext = (science or of_sky or plain or useful)[0]
    notes = []
    if len(useful) > 1:
        notes.append(f'extension {_label(ext)} of {len(useful)} images')
    return ext, notes


def _companion(ext):
    name = ext.name or card(ext.header, 'EXTTYPE', str, '').upper()
    return _COMPANION.match(name) is not None


def _label(ext):
    return (
        f'{ext.index}:{ext.name},{ext.version}' if ext.name else str(ext.index)
    )


def _named(ext, hdu):
    if isinstance(hdu, str):
        return ext.name == hdu.strip().upper()
    if isinstance(hdu, tuple) and len(hdu) == 2:
        return (ext.name, ext.version) == (str(hdu[0]).upper(), hdu[1])
    return not isinstance(hdu, bool) and ext.index == hdu


def _plane_index(file, ext, plane):
    """Turn ``plane`` into indices of the axes before the image axes."""
    extra = ext.shape[:-2]
    if isinstance(plane, str):
        if plane not in _REDUCTIONS:
            msg = (
                f'plane={plane!r} is unknown; give a number, or one of '
                f'{", ".join(_REDUCTIONS)}'
            )
            raise ImageError(msg)
        return plane if math.prod(extra) > 1 else (0,) * len(extra)
    if plane is None:
        if math.prod(extra) > 1:
            msg = (
                f'{file.source}: extension {ext.index} is a cube of shape '
                f'{ext.shape}; choose a plane with plane=0 to '
                f'{extra[-1] - 1}, or a reduction such as plane="median"'
            )
            raise ImageError(msg)
        return (0,) * len(extra)
    index = plane if isinstance(plane, tuple) else (plane,)
    index = (0,) * (len(extra) - len(index)) + index
    good = len(index) == len(extra) and all(
        hasattr(n, '__index__') and 0 <= n < length
        for n, length in zip(index, extra, strict=True)
    )
    if not good:
        msg = (
            f'{file.source}: plane={plane!r} is not in the axes {extra} '
            f'before the image of extension {ext.index}'
        )
        raise ImageError(msg)
    return index


def _reduced(file, ext, name):
    extra = ext.shape[:-2]
    planes = [file.pixels(ext, index).read() for index in np.ndindex(extra)]
    with quiet():
        return ArrayPixels(_REDUCTIONS[name](np.stack(planes), axis=0))


def _unit(header):
    text = card(header, 'BUNIT', str, '').strip()
    if not text:
        return None
    with quiet():
        try:
            return u.Unit(text, format='fits')
        except Exception:  # units of all spellings
            try:
                return u.Unit(text)
            except Exception:
                return None
