# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Checks of tile-compressed images before astropy decompresses them."""

import math
import re

from astroclip_search.exceptions import ImageError
from astroclip_search.images._hdus import BITPIX, axes, card

__all__ = []

_KINDS = ('RICE_1', 'RICE_ONE', 'GZIP_1', 'GZIP_2', 'PLIO_1', 'HCOMPRESS_1',
          'NOCOMPRESS')  # fmt: skip
_FORMAT = re.compile(r'\s*(\d*)([PQLXBIJKAEDCM])([A-Z]?)(\(\d*\))?\s*')
_MAX_GROWTH = 10_000


def check_compressed(ext, source):
    """
    Refuse a compressed image whose header cannot be true.

    Parameters
    ----------
    ext : `Extension`
        A table with ``ZIMAGE``.

    source : str
        What the file is called in errors.

    Raises
    ------
    ImageError
        If a card is out of range.
    """
    header = ext.header
    shape = axes(header, 'Z')
    tiles = [
        card(header, f'ZTILE{n + 1}', int, length if n == 0 else 1)
        for n, length in enumerate(shape)
    ]
    rows = math.prod(
        -(-length // max(1, tile))
        for length, tile in zip(shape, tiles, strict=True)
    )
    bits = card(header, 'ZBITPIX', int)
    fields = card(header, 'TFIELDS', int, 0)
    width, count = axes(header)[:2] if len(axes(header)) == 2 else (0, 0)
    checks = {
        'ZBITPIX': bits in BITPIX,
        'ZNAXIS': 1 <= len(shape) <= 6 and all(n > 0 for n in shape),
        'ZTILE': all(
            1 <= tile <= length
            for tile, length in zip(tiles, shape, strict=True)
        ),
        'ZCMPTYPE': card(header, 'ZCMPTYPE', str, '').strip() in _KINDS,
        'NAXIS2': count == rows,
        'TFIELDS': 1 <= fields <= 32,
        'THEAP': card(header, 'THEAP', int, width * count) == width * count,
        'TFORM': all(
            _FORMAT.fullmatch(card(header, f'TFORM{n + 1}', str, ''))
            for n in range(min(fields, 32))
        ),
        'size': math.prod(shape) <= (1 << 20) + _MAX_GROWTH * ext.size,
    }
    wrong = [name for name, good in checks.items() if not good]
    if wrong:
        msg = (
            f'{source}: the compressed extension {ext.index} is damaged: '
            f'{", ".join(wrong)} cannot be true'
        )
        raise ImageError(msg)
