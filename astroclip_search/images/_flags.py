# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Which pixels are unusable, from data-quality arrays and headers."""

import numpy as np

from astroclip_search.images._hdus import card

__all__ = []

# Flags of HST instruments under which a pixel's value is lost (lost in
# transmission, bad detector pixel, masked, bad bias or flat, saturated,
# cosmic ray). Warm pixels and charge traps are flagged too, in their
# thousands, and stay: ACS Data Handbook, table 3.4; WFC3, table 3.3.
_HST = 1 | 2 | 4 | 8 | 128 | 256 | 512 | 2048 | 4096 | 8192
# DO_NOT_USE and SATURATED of the JWST pipeline.
_JWST = 1 | 2
_ROWS = 256
# Mask planes of the Rubin and HSC pipelines, which number them in MP_ cards.
_PLANES = ('BAD', 'NO_DATA', 'SAT')


def flagged(file, ext, pixels):
    """
    Unusable pixels of an image.

    Parameters
    ----------
    file : `FitsFile` or `FitsList`
        The extensions.

    ext : `Extension`
        The image.

    pixels : source of pixels
        The pixels of the image.

    Returns
    -------
    flags : (H, W) bool `~numpy.ndarray` or None
        `True` where a pixel is unusable.

    note : str or None
        What was done, for the metadata.
    """
    flags, note = None, None
    quality = _companion(file.extensions, ext)
    if quality is not None and quality.shape[-2:] == pixels.shape:
        bits = _bits(file.extensions[0].header, quality)
        planes = file.pixels(quality, (0,) * (len(quality.shape) - 2))
        flags = _by_rows(planes, lambda rows: _any_bit(rows, bits))
        note = f'flags of extension {quality.index} taken as a mask'
    level = card(ext.header, 'SATURATE', float)
    if level is not None and level > 0:
        high = _by_rows(pixels, lambda rows: rows >= level)
        flags = high if flags is None else flags | high
    if flags is None or not flags.any():
        return None, note
    if flags.mean() > 0.9:
        return None, 'flags of nearly every pixel were left aside'
    return flags, note


def _by_rows(pixels, test):
    """Apply a test to all pixels, a few rows at a time."""
    result = np.empty(pixels.shape, bool)
    for start in range(0, len(result), _ROWS):
        result[start : start + _ROWS] = test(pixels.rows(start, start + _ROWS))
    return result


def _any_bit(values, bits):
    if values.dtype.kind not in 'iu':
        return np.zeros(values.shape, bool)
    most = int(np.iinfo(values.dtype).max)
    return (values & values.dtype.type(bits & most)) != 0


def _companion(extensions, ext):
    """Find the data-quality extension that belongs to an image."""
    for other in extensions[ext.index + 1 :]:
        if other.name == 'DQ' and other.version == ext.version:
            return other if len(other.shape) >= 2 else None
        kind = card(other.header, 'EXTTYPE', str, '').strip().upper()
        if kind == 'MASK' and len(other.shape) == 2:
            return other
    return None


def _bits(primary, quality):
    planes = [card(quality.header, f'MP_{name}', int, -1) for name in _PLANES]
    if any(0 <= n < 31 for n in planes):
        return sum(1 << n for n in planes if 0 <= n < 31)
    telescope = card(primary, 'TELESCOP', str, '').strip().upper()
    return {'HST': _HST, 'JWST': _JWST}.get(telescope, 0x7FFF)


def merge(*masks):
    """Combine masks of which some may be None."""
    present = [np.asarray(mask, dtype=bool) for mask in masks
               if mask is not None]  # fmt: skip
    if not present:
        return None
    return np.logical_or.reduce(present)
