# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Tile-compressed images, checked before astropy decompresses them.

The decompressors are compiled code that believes the table it is given. So
the table is handed over with a new header of the cards that matter, each
checked, and with every descriptor inside the heap.
"""

import math
import re

import numpy as np
from astropy.io import fits

from astroclip_search.exceptions import ImageError
from astroclip_search.images._hdus import BITPIX, axes, card
from astroclip_search.images._quiet import quiet
from astroclip_search.images._streams import stream_is_sane, tile_sizes

__all__ = []

_KINDS = ('RICE_1', 'RICE_ONE', 'GZIP_1', 'GZIP_2', 'PLIO_1', 'HCOMPRESS_1',
          'NOCOMPRESS')  # fmt: skip
_FORMAT = re.compile(r'(\d*)([PQLXBIJKAEDCM])([LXBIJKAEDCM]?)(\(\d*\))?')
_BYTES = {'L': 1, 'B': 1, 'I': 2, 'J': 4, 'K': 8, 'A': 1, 'E': 4, 'D': 8,
          'C': 8, 'M': 16, 'P': 8, 'Q': 16}  # fmt: skip
# Methods whose decompressors believe the sizes in the data.
_TRUSTING = ('HCOMPRESS_1', 'PLIO_1')
_COLUMNS = ('COMPRESSED_DATA', 'GZIP_COMPRESSED_DATA', 'UNCOMPRESSED_DATA',
            'ZSCALE', 'ZZERO', 'ZBLANK', 'NULL_PIXEL_MASK')  # fmt: skip
_SETTINGS = {'BLOCKSIZE': (16, 32), 'BYTEPIX': (1, 2, 4, 8),
             'SCALE': range(1 << 16), 'SMOOTH': (0, 1)}  # fmt: skip
_QUANTIZED = ('NO_DITHER', 'SUBTRACTIVE_DITHER_1', 'SUBTRACTIVE_DITHER_2',
              'NONE')  # fmt: skip
_FREE_SIZE = 512 << 20
_MAX_GROWTH = 200
_MAX_COLUMNS = 32


class _DamagedError(Exception):
    """A card or descriptor that cannot be true."""


def open_compressed(ext, buffer, source):
    """
    Give access to the pixels of a tile-compressed image.

    Parameters
    ----------
    ext : `Extension`
        A table with ``ZIMAGE``.

    buffer : bytes or `mmap.mmap`
        The file.

    source : str
        What the file is called in errors.

    Returns
    -------
    section : `~astropy.io.fits.CompImageSection`
        Pixels on demand.

    Raises
    ------
    ImageError
        If a card is out of range or a descriptor points outside the heap.
    """
    try:
        with quiet():
            header, columns = _clean_header(ext)
            axes_and_tiles = [
                [header[f'{key}{n + 1}'] for n in range(header['ZNAXIS'])]
                for key in ('ZNAXIS', 'ZTILE')
            ]
            sizes = tile_sizes(*axes_and_tiles)
            data = bytes(buffer[ext.data : ext.data + ext.size])
            _check_descriptors(header, columns, data, sizes)
            text = header.tostring().encode('ascii')
            table = fits.BinTableHDU.fromstring(text + data)
            return fits.CompImageHDU(bintable=table).section
    except Exception as exc:
        msg = (
            f'{source}: the compressed extension {ext.index} is damaged '
            f'({exc}); fetch the file again'
        )
        raise ImageError(msg) from exc


def _demand(good, what):
    if not good:
        msg = f'{what} cannot be true'
        raise _DamagedError(msg)


def _clean_header(ext):
    """Header of checked cards, and name, format and offset of columns."""
    old, new = ext.header, fits.Header()
    lengths = axes(old)
    _demand(card(old, 'BITPIX', int) == 8 and len(lengths) == 2, 'NAXIS')
    width, count = lengths
    heap = card(old, 'PCOUNT', int, 0)
    for key, value in (
        ('XTENSION', 'BINTABLE'), ('BITPIX', 8), ('NAXIS', 2),
        ('NAXIS1', width), ('NAXIS2', count), ('PCOUNT', heap), ('GCOUNT', 1),
    ):  # fmt: skip
        new[key] = value
    columns = _columns(old, new, width)
    theap = card(old, 'THEAP', int, width * count)
    _demand(width * count <= theap <= width * count + heap, 'THEAP')
    new['THEAP'] = theap
    _geometry(ext, new, count)
    kind = card(old, 'ZCMPTYPE', str, '').strip()
    _demand(kind in _KINDS, 'ZCMPTYPE')
    new['ZCMPTYPE'] = kind
    for n in range(1, 20):
        name = card(old, f'ZNAME{n}', str, '').strip().upper()
        value = card(old, f'ZVAL{n}', int, -1)
        if name in _SETTINGS:
            _demand(value in _SETTINGS[name], f'ZVAL{n}')
            new[f'ZNAME{n}'], new[f'ZVAL{n}'] = name, value
    method = card(old, 'ZQUANTIZ', str, 'NO_DITHER').strip()
    _demand(method in _QUANTIZED, 'ZQUANTIZ')
    if 'ZQUANTIZ' in old:
        new['ZQUANTIZ'] = method
    seed = card(old, 'ZDITHER0', int, 1)
    _demand(1 <= seed <= 10_000, 'ZDITHER0')
    new['ZDITHER0'] = seed
    for key in ('ZBLANK', 'BLANK'):
        value = card(old, key, int)
        if value is not None and abs(value) < 1 << 63:
            new[key] = value
    for key in ('ZSCALE', 'ZZERO', 'BSCALE', 'BZERO'):
        value = card(old, key, float)
        if value is not None:
            new[key] = value
    return new, columns


def _columns(old, new, width):
    fields = card(old, 'TFIELDS', int, 0)
    _demand(1 <= fields <= _MAX_COLUMNS, 'TFIELDS')
    new['TFIELDS'] = fields
    columns, at = {}, 0
    for n in range(1, fields + 1):
        text = card(old, f'TFORM{n}', str, '').strip()
        match = _FORMAT.fullmatch(text)
        _demand(match is not None, f'TFORM{n}')
        repeat, code, inner = int(match[1] or 1), match[2], match[3]
        variable = code in 'PQ'
        _demand(
            repeat <= 1 if variable else repeat <= width and not inner,
            f'TFORM{n}',
        )
        _demand(not variable or inner in ('B', 'I', 'J', 'K', 'E', 'D'),
                f'TFORM{n}')  # fmt: skip
        size = -(-repeat // 8) if code == 'X' else repeat * _BYTES[code]
        name = card(old, f'TTYPE{n}', str, '').strip().upper()
        if name not in _COLUMNS or name in columns:
            name = f'OTHER{n}'
        elif variable:
            _demand(repeat == 1, f'TFORM{n}')
        columns[name] = (code, inner, at, size)
        new[f'TTYPE{n}'], new[f'TFORM{n}'] = name, text
        at += size
    _demand(at == width, 'NAXIS1')
    _demand('COMPRESSED_DATA' in columns, 'TTYPE1')
    for name in _COLUMNS[:3]:
        _demand(name not in columns or columns[name][0] in 'PQ', name)
    for name in _COLUMNS[3:6]:
        _demand(name not in columns or columns[name][0] in 'BIJKED', name)
    return columns


def _geometry(ext, new, count):
    """Axes and tiles of the image, checked against each other."""
    old = ext.header
    bits = card(old, 'ZBITPIX', int)
    lengths = axes(old, 'Z')
    _demand(bits in BITPIX, 'ZBITPIX')
    _demand(1 <= len(lengths) <= 6 and all(lengths), 'ZNAXIS')
    new['ZIMAGE'], new['ZBITPIX'], new['ZNAXIS'] = True, bits, len(lengths)
    rows = 1
    for n, length in enumerate(lengths, 1):
        tile = card(old, f'ZTILE{n}', int, length if n == 1 else 1)
        _demand(1 <= tile <= length, f'ZTILE{n}')
        rows *= -(-length // tile)
        new[f'ZNAXIS{n}'], new[f'ZTILE{n}'] = length, tile
    _demand(rows == count, 'NAXIS2')
    size = math.prod(lengths) * abs(bits) // 8
    _demand(size <= max(_FREE_SIZE, _MAX_GROWTH * ext.size), 'the size')


def _check_descriptors(header, columns, data, sizes):
    """Every piece of compressed data must lie in the heap."""
    width, count = header['NAXIS1'], header['NAXIS2']
    rows = np.frombuffer(data, np.uint8, width * count).reshape(count, width)
    heap = len(data) - header['THEAP']
    for name, (code, inner, at, size) in columns.items():
        if code not in 'PQ' or size == 0:
            continue
        kind = '>i4' if code == 'P' else '>i8'
        part = np.ascontiguousarray(rows[:, at : at + size])
        lengths, offsets = part.view(kind).T.astype(float)
        ends = offsets + lengths * _BYTES[inner]
        good = (lengths >= 0) & (offsets >= 0) & (ends <= heap)
        _demand(good.all(), f'a descriptor of {name}')
        if name == 'COMPRESSED_DATA' and header['ZCMPTYPE'] in _TRUSTING:
            start = offsets.astype(int) + header['THEAP']
            stop = ends.astype(int) + header['THEAP']
            for first, last, pixels in zip(start, stop, sizes, strict=True):
                _demand(
                    first == last
                    or stream_is_sane(
                        header['ZCMPTYPE'], data[first:last], pixels
                    ),
                    'the size of a tile',
                )
