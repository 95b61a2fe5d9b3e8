# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A mosaic in pieces."""

from astroclip_search.exceptions import ImageError
from astroclip_search.images._cutout import part_of
from astroclip_search.images._pixels import CompressedPixels
from astroclip_search.images._read import read_image

__all__ = ['tiles']

MIN_SIZE = 8
MIN_USABLE = 0.1


def tiles(source, *, size, overlap=0):
    """
    Walk through an image in tiles, without reading all of it.

    Parameters
    ----------
    source : `SkyImage` or anything that `read_image` takes
        The image; it may be larger than memory.

    size : int
        Height and width of a tile in pixels. An image that is smaller is one
        tile.

    overlap : int, optional
        Pixels that neighbouring tiles share. The last tile of a row or column
        ends at the edge of the image, and so shares more.

    Returns
    -------
    tiles : iterator of `SkyImage`
        Each has its own world coordinates; ``meta['corner']`` is its first
        pixel (x, y) in the whole. Tiles that are flat, or of which less than a
        tenth is usable, are left out.

    Raises
    ------
    ImageError
        If the size or the overlap is no whole number of pixels.
    """
    for name, value, least in (
        ('size', size, MIN_SIZE),
        ('overlap', overlap, 0),
    ):
        if not hasattr(value, '__index__') or value < least:
            msg = f'{name}={value!r} is not a number of pixels from {least} on'
            raise ImageError(msg)
    if overlap >= size:
        msg = f'overlap={overlap} leaves no way forward at size={size}'
        raise ImageError(msg)
    return _walk(read_image(source), int(size), int(overlap))


def _walk(image, size, overlap):
    height, width = image.shape
    high, wide = min(size, height), min(size, width)
    for bottom in _starts(height, high, overlap):
        band, at = image, bottom
        if isinstance(image._pixels, CompressedPixels):
            # Compressed tiles are often whole rows: decompress them once for
            # a row of ours, not once for each of ours.
            band, at = part_of(image, 0, bottom, width, high), 0
        for left in _starts(width, wide, overlap):
            tile = part_of(band, left, at, wide, high)
            if _worth_it(tile):
                yield (
                    tile
                    if at == bottom
                    else tile.with_meta(corner=(left, bottom))
                )


def _starts(length, size, overlap):
    """First pixels of tiles that cover a side."""
    starts = list(range(0, max(1, length - size), size - overlap))
    last = length - size
    return starts if starts[-1] == last else [*starts, last]


def _worth_it(tile):
    data = tile.data
    if tile.is_rgb:
        return bool(data.min() != data.max())
    good = data if tile.mask is None else data[~tile.mask]
    return bool(
        good.size >= MIN_USABLE * data.size and good.min() != good.max()
    )
