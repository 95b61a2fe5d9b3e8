# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
The extensions of a FITS file, found without trusting its headers.

astropy believes what a header says of sizes, and so a damaged or hostile one
can make it run for ever, allocate without bound, or crash in compiled code.
Here every size is checked against the bytes that are there before astropy
sees anything but the text of the header.
"""

import math
from dataclasses import dataclass

from astropy.io import fits

from astroclip_search.exceptions import ImageError
from astroclip_search.images._quiet import quiet

__all__ = []

BLOCK = 2880
MAX_HDUS = 4096
MAX_HEADER = 4000 * BLOCK
MAX_AXES = 16
BITPIX = (8, 16, 32, 64, -32, -64)


@dataclass(eq=False)
class Extension:
    """One header-data unit: where it lies in a file, and what it holds."""

    index: int
    header: fits.Header
    data: int = 0
    size: int = 0
    missing: int = 0
    opened: object = None  # an HDU of astropy, where that is the source

    @property
    def name(self):
        """EXTNAME in upper case, ``''`` where there is none."""
        return card(self.header, 'EXTNAME', str, '').strip().upper()

    @property
    def version(self):
        """EXTVER, 1 where there is none."""
        return card(self.header, 'EXTVER', int, 1)

    @property
    def compressed(self):
        """Whether a tile-compressed image lies in a table."""
        return card(self.header, 'ZIMAGE', bool, False)

    @property
    def is_image(self):
        """Whether this is an image, compressed or not (data or none)."""
        if self.opened is not None:
            kinds = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
            return isinstance(self.opened, kinds)
        if self.index == 0:
            return not card(self.header, 'GROUPS', bool, False)
        kind = card(self.header, 'XTENSION', str, '').strip()
        return kind in ('IMAGE', 'IUEIMAGE') or self.compressed

    @property
    def shape(self):
        """Axes in NumPy order; ``()`` where there is no image."""
        if not self.is_image:
            return ()
        if self.opened is not None:
            return tuple(self.opened.shape)
        return axes(self.header, 'Z' if self.compressed else '')[::-1]


def card(header, key, kind, default=None):
    """
    Value of a card if it is there and of the right kind.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        The header; its cards may be unreadable.

    key : str
        Keyword.

    kind : {str, int, float, bool}
        Type of value wanted; whole numbers count as ``float`` as well.

    default : object, optional
        What is returned otherwise.

    Returns
    -------
    value : object
        The value or ``default``.
    """
    try:
        value = header[key]
    except Exception:  # astropy raises many kinds here
        return default
    if isinstance(value, bool):
        return value if kind is bool else default
    if isinstance(value, str) and not value.isprintable():
        return default
    if kind is float and isinstance(value, int | float):
        try:
            value = float(value)
        except OverflowError:
            return default
        return value if math.isfinite(value) else default
    return value if isinstance(value, kind) else default


def axes(header, prefix=''):
    """Lengths of the axes in FITS order; an error where they are absurd."""
    count = card(header, f'{prefix}NAXIS', int, 0)
    if not 0 <= count <= MAX_AXES:
        msg = f'{prefix}NAXIS = {count} is no number of axes'
        raise ImageError(msg)
    lengths = tuple(
        card(header, f'{prefix}NAXIS{n + 1}', int, -1) for n in range(count)
    )
    if any(n < 0 for n in lengths):
        msg = f'the axes {lengths} have a missing or negative length'
        raise ImageError(msg)
    return lengths


def scan(buffer, *, source):
    """
    Find the extensions of a FITS file.

    Parameters
    ----------
    buffer : bytes or `mmap.mmap`
        The whole file.

    source : str
        What the file is called in errors.

    Returns
    -------
    extensions : list of `Extension`
        The primary and those that follow, up to the first that is cut off.

    Raises
    ------
    ImageError
        If the file is no FITS file, or its headers contradict its size.
    """
    found, start, total = [], 0, len(buffer)
    while start < total and len(found) < MAX_HDUS:
        text, data = _header_text(buffer, start)
        if text is None:
            break
        if found and not text.startswith('XTENSION'):
            break  # records after the last extension mean nothing
        with quiet():
            header = fits.Header.fromstring(text)
            try:
                size = _data_size(header)
            except ImageError as exc:
                msg = f'{source}: header {len(found)} is damaged: {exc}'
                raise ImageError(msg) from exc
            missing = max(0, data + size - total)
            found.append(Extension(len(found), header, data, size, missing))
        start = data + -(-size // BLOCK) * BLOCK
    if not found:
        msg = (
            f'{source} is not a FITS file, or its first header has no END: '
            'check that it was copied whole'
        )
        raise ImageError(msg)
    return found


def _header_text(buffer, start):
    """Text of the header at ``start`` and where its data begin."""
    stop = min(len(buffer), start + MAX_HEADER)
    at = start
    while at + 80 <= stop:
        block = buffer[at : at + BLOCK]
        for n in range(0, len(block) - 79, 80):
            if block[n : n + 8] == b'END     ':
                text = buffer[start : at + n + 80]
                text = text.decode('ascii', 'replace').replace('\ufffd', '?')
                return text, at + BLOCK
        at += BLOCK
    return None, None


def _data_size(header):
    """Bytes of data that a header announces."""
    bits = card(header, 'BITPIX', int, 0)
    if bits not in BITPIX:
        msg = f'BITPIX = {bits} is not one of {BITPIX}'
        raise ImageError(msg)
    lengths = axes(header)
    extra = card(header, 'PCOUNT', int, 0)
    groups = card(header, 'GCOUNT', int, 1)
    if extra < 0 or groups < 1:
        msg = f'PCOUNT = {extra} and GCOUNT = {groups} are no counts'
        raise ImageError(msg)
    if not lengths:
        return 0
    if card(header, 'GROUPS', bool, False) and lengths[0] == 0:
        lengths = lengths[1:]
    return abs(bits) // 8 * groups * (extra + math.prod(lengths))
