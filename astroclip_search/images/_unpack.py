# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Compressed files."""

import bz2
import gzip
import lzma
import os
import zlib

from astroclip_search.exceptions import ImageError

__all__ = []

_PACKED = {b'\x1f\x8b': 'gzip', b'BZh': 'bz2', b'\xfd7zXZ': 'xz'}
# Empty frames shrink a thousandfold, so the size alone tells no bomb from one.
_FREE_UNPACKED = 512 << 20
_MAX_UNPACKED = 4 << 30
_MAX_GROWTH = 20


def packing(start):
    """Kind of compression, by the first bytes; '' where there is none."""
    return next((p for key, p in _PACKED.items() if start.startswith(key)), '')


def unpack(file, kind, name):
    """
    Decompress a file, within bounds.

    Parameters
    ----------
    file : file object
        Opened in binary mode.

    kind : {'gzip', 'bz2', 'xz'}
        What `packing` said.

    name : str
        What it is called in errors.

    Returns
    -------
    data : bytearray
        The whole file.

    Raises
    ------
    ImageError
        If the file is damaged, or grows beyond measure.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    limit = min(_MAX_UNPACKED, max(_FREE_UNPACKED, _MAX_GROWTH * size))
    opener = {'gzip': gzip.open, 'bz2': bz2.open, 'xz': lzma.open}[kind]
    try:
        data = bytearray()
        with opener(file, 'rb') as stream:
            while len(data) <= limit and (chunk := stream.read(1 << 20)):
                data += chunk
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as exc:
        msg = (
            f'{name} cannot be decompressed ({exc}): it is damaged or cut '
            'off; fetch it again'
        )
        raise ImageError(msg) from exc
    if len(data) > limit:
        msg = (
            f'{name} grows from {size} to more than {limit} bytes when '
            'decompressed, which is refused; decompress it by hand'
        )
        raise ImageError(msg)
    return data
