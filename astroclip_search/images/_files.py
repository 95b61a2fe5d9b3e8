# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Extensions of FITS files and HDU lists, with their pixels."""

import math

import numpy as np

from astroclip_search.exceptions import ImageError
from astroclip_search.images._hdus import Extension, card, scan
from astroclip_search.images._pixels import ArrayPixels, CompressedPixels
from astroclip_search.images._quiet import quiet
from astroclip_search.images._tables import open_compressed

__all__ = []


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
        self.extensions = [
            Extension(n, hdu.header, opened=hdu) for n, hdu in enumerate(hdus)
        ]

    def pixels(self, ext, plane=()):
        """Source of the pixels of one plane of an image extension."""
        with quiet():
            try:
                return ArrayPixels(ext.opened.data[plane])
            except Exception as exc:  # astropy raises many kinds here
                msg = (
                    f'{self.source}: the pixels of extension {ext.index} '
                    f'cannot be read ({exc})'
                )
                raise ImageError(msg) from exc


def _dtype(bits):
    return np.dtype({8: 'u1', 16: '>i2', 32: '>i4', 64: '>i8', -32: '>f4',
                     -64: '>f8'}[bits])  # fmt: skip
