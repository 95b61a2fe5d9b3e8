# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Sizes that compressed tiles state of themselves.

The decompressors of HCOMPRESS and PLIO trust the sizes in the data and write
or read beyond their memory where those are wrong.
"""

import math
import struct

import numpy as np

__all__ = []

_MAGIC = b'\xdd\x99'
_MAX_PLANES = 64


def stream_is_sane(kind, stream, pixels):
    """
    Whether a compressed tile states the size it must have.

    Parameters
    ----------
    kind : str
        ZCMPTYPE.

    stream : bytes
        The compressed tile.

    pixels : int
        Number of pixels of the tile.

    Returns
    -------
    sane : bool
        Always `True` for methods that check by themselves.
    """
    if kind == 'HCOMPRESS_1':
        if len(stream) < 25 or stream[:2] != _MAGIC:
            return False
        rows, columns = struct.unpack('>ii', stream[2:10])
        planes = max(stream[22:25])
        return (
            min(rows, columns) > 0
            and rows * columns == pixels
            and (planes <= _MAX_PLANES)
        )
    if kind == 'PLIO_1':
        words = np.frombuffer(stream[: len(stream) // 2 * 2], '>i2')
        if words.size < 5:
            return False
        # The first form of the header has the length in one word, the second
        # in two (White et al. 2012, section 3.4, and IRAF's pl_l2pi).
        length = int(words[2])
        if length <= 0:
            length = (int(words[4]) << 15) + int(words[3])
        return 0 < length <= words.size
    return True


def tile_sizes(lengths, tiles):
    """
    Number of pixels of each tile, those at the far edges being smaller.

    Parameters
    ----------
    lengths, tiles : sequence of int
        Axes of the image and of a tile, in FITS order.

    Returns
    -------
    sizes : 1-D int64 `~numpy.ndarray`
        In the order of the rows of the table.
    """
    sizes = np.ones(1, np.int64)
    for length, tile in zip(lengths, tiles, strict=True):
        starts = np.arange(0, length, tile)
        sides = np.minimum(tile, length - starts)
        sizes = np.multiply.outer(sides, sizes).ravel()
    if sizes.sum() != math.prod(lengths):
        msg = f'tiles of {tiles} do not cover {lengths}'
        raise ValueError(msg)
    return sizes
