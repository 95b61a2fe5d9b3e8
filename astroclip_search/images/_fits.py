# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Images out of FITS files and HDU lists."""

import math

import numpy as np
from astropy import units as u
from astropy.io import fits

from astroclip_search.exceptions import ImageError
from astroclip_search.images._facts import header_facts
from astroclip_search.images._flags import flagged
from astroclip_search.images._hdus import Extension, card, scan
from astroclip_search.images._pixels import ArrayPixels, CompressedPixels
from astroclip_search.images._quiet import quiet
from astroclip_search.images._tables import open_compressed
from astroclip_search.images._types import SkyImage
from astroclip_search.images._wcs import read_wcs, warn_about

__all__ = []

# Extensions that accompany an image and are not one of the sky.
_COMPANIONS = (
    'ERR', 'DQ', 'WHT', 'CTX', 'CON', 'VAR', 'IVAR', 'MASK', 'SAMP', 'TIME',
    'SEG', 'CONTAM', 'AREA', 'RESPONSE', 'WCSDVARR', 'D2IMARR', 'BPM', 'EXP',
    'WEIGHT', 'UNCERT', 'NOISE', 'PSF',
)  # fmt: skip
_REDUCTIONS = {
    'sum': np.nansum,
    'mean': np.nanmean,
    'median': np.nanmedian,
    'max': np.nanmax,
}
_MAX_RATIO = 4000
MIN_SIDE = 2


class FitsFile:
    """Extensions of a file, with their pixels."""

    def __init__(self, buffer, source):
        self.buffer = buffer
        self.source = source
        self.extensions = scan(buffer, source=source)

    def pixels(self, ext, plane=()):
        """Source of the pixels of one plane of an image extension."""
        if ext.missing:
            msg = (
                f'{self.source}: extension {ext.index} is cut off, '
                f'{ext.missing} of its {ext.size} bytes are missing; copy '
                'the file again'
            )
            raise ImageError(msg)
        if ext.compressed:
            section = open_compressed(ext, self.buffer, self.source)
            return CompressedPixels(section, plane, self.source)
        header = ext.header
        raw = np.frombuffer(
            self.buffer,
            dtype=_dtype(card(header, 'BITPIX', int)),
            count=math.prod(ext.shape),
            offset=ext.data,
        ).reshape(ext.shape)
        return ArrayPixels(
            raw[plane],
            scale=card(header, 'BSCALE', float, 1.0),
            zero=card(header, 'BZERO', float, 0.0),
            blank=card(header, 'BLANK', int),
        )


class FitsList:
    """Extensions of an HDUList or a single HDU of astropy."""

    def __init__(self, hdus, source):
        self.source = source
        self.hdus = hdus
        self.extensions = [
            _ListedExtension(n, hdu.header, 0, 0, 0, 0)
            for n, hdu in enumerate(hdus)
        ]
        for ext, hdu in zip(self.extensions, hdus, strict=True):
            ext.hdu = hdu

    def pixels(self, ext, plane=()):
        """Source of the pixels of one plane of an image extension."""
        hdu = ext.hdu
        if isinstance(hdu, fits.CompImageHDU) and not hdu._data_loaded:
            return CompressedPixels(hdu.section, plane, self.source)
        with quiet():
            try:
                data = hdu.data
            except Exception as exc:
                msg = (
                    f'{self.source}: the pixels of extension {ext.index} '
                    f'cannot be read ({exc})'
                )
                raise ImageError(msg) from exc
        return ArrayPixels(data[plane])


class _ListedExtension(Extension):
    """An HDU that astropy has opened already."""

    hdu = None
    compressed = False

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)

    @property
    def is_image(self):
        kinds = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
        return isinstance(self.hdu, kinds)

    @property
    def shape(self):
        return tuple(self.hdu.shape) if self.is_image else ()


def _dtype(bits):
    return np.dtype({8: 'u1', 16: '>i2', 32: '>i4', 64: '>i8', -32: '>f4',
                     -64: '>f8'}[bits])  # fmt: skip


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
    ext = (science or plain or useful)[0]
    notes = []
    if len(useful) > 1:
        notes.append(f'extension {_label(ext)} of {len(useful)} images')
    return ext, notes


def _companion(ext):
    name = ext.name or card(ext.header, 'EXTTYPE', str, '').upper()
    return name.startswith(_COMPANIONS)


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
