# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Where pixels come from.

A source of pixels has a ``shape``, gives ``rows(start, stop)`` and a
``section(rows, columns)`` cheaply, and everything with ``read()``. Sections
and everything are in the machine's byte order; rows may keep the order of the
file, because NumPy sums swapped numbers as fast as it copies them.
"""

import numpy as np

from astroclip_search.exceptions import ImageError
from astroclip_search.images._quiet import quiet

__all__ = []


class ArrayPixels:
    """
    Pixels of an array, in memory or mapped, as FITS stores them.

    Parameters
    ----------
    raw : (H, W) or (H, W, 3) `~numpy.ndarray`
        The stored numbers, in any byte order.

    scale, zero : float, optional
        BSCALE and BZERO.

    blank : int, optional
        Stored number that marks undefined pixels; they become NaN.
    """

    def __init__(self, raw, *, scale=1, zero=0, blank=None):
        self.raw = np.asarray(raw)
        self.shape = self.raw.shape
        kind, size = self.raw.dtype.kind, self.raw.dtype.itemsize
        self.scale, self.zero = scale, zero
        self.blank = blank if kind in 'iu' else None
        self.unsigned = None
        half = 1 << (8 * size - 1)
        if kind == 'i' and scale == 1 and zero == half and blank is None:
            self.unsigned = np.dtype(f'u{size}')
        self.plain = scale == 1 and zero == 0 and self.blank is None
        small = size <= 2 and max(abs(scale), abs(zero)) < 1e30
        self.float = np.float32 if small else np.float64

    def _scaled(self, raw):
        native = raw.dtype.newbyteorder('=')
        if self.plain:
            return np.asarray(raw, dtype=native)
        if self.unsigned is not None:
            # Adding the half range is flipping the highest bit.
            values = raw.astype(native).view(self.unsigned)
            return values ^ self.unsigned.type(self.zero)
        kind = native if native.kind == 'f' else np.dtype(self.float)
        values = raw.astype(kind)
        with np.errstate(all='ignore'):  # what overflows is not finite
            if self.scale != 1:
                values = values * kind.type(self.scale)
            if self.zero != 0:
                values = values + kind.type(self.zero)
        if self.blank is not None:
            values[raw == self.blank] = np.nan
        return values

    def rows(self, start, stop):
        """Rows from ``start`` to before ``stop``."""
        part = self.raw[start:stop]
        return part if self.plain else self._scaled(part)

    def section(self, rows, columns):
        """Copy of the pixels in two slices."""
        part = self.raw[rows, columns]
        return np.array(part) if part.size == 0 else self._copy(part)

    def _copy(self, part):
        values = self._scaled(part)
        return values.copy() if np.may_share_memory(values, part) else values

    def read(self):
        """Every pixel."""
        return self._scaled(self.raw)


class CompressedPixels:
    """
    Pixels of a tile-compressed FITS image, decompressed where needed.

    Parameters
    ----------
    section : `~astropy.io.fits.CompImageSection`
        What astropy reads parts of the image with.

    plane : tuple of int
        Indices of the axes before the two image axes.

    source : str
        What the image is called in errors.
    """

    def __init__(self, section, plane, source):
        self._section = section
        self._plane = plane
        self._source = source
        self.shape = section.shape[-2:]
        self._cache = None

    def rows(self, start, stop):
        """Rows from ``start`` to before ``stop``."""
        # Tiles are often single rows, but may be of any height: whoever goes
        # through all rows decompresses everything once.
        if self._cache is None:
            self._cache = self.read()
        return self._cache[start:stop]

    def section(self, rows, columns):
        """Copy of the pixels in two slices."""
        try:
            with quiet():
                part = self._section[(*self._plane, rows, columns)]
        except Exception as exc:  # decompressors raise many kinds
            msg = (
                f'{self._source}: the compressed image cannot be decompressed '
                f'({exc}); fetch the file again'
            )
            raise ImageError(msg) from exc
        return np.array(part, dtype=part.dtype.newbyteorder('='))

    def read(self):
        """Every pixel."""
        if self._cache is not None:
            return self._cache
        return self.section(slice(None), slice(None))
