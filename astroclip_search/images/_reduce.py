# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Means of blocks of pixels."""

import numpy as np

__all__ = []


def block_means(pixels, steps, *, mask=None):
    """
    Average blocks of pixels, leaving out those that are unusable.

    Parameters
    ----------
    pixels : source of pixels
        A 2-D image of any byte order.

    steps : (int, int)
        Height and width of a block. Blocks at the far edges may be smaller.

    mask : (H, W) bool `~numpy.ndarray`, optional
        `True` where a pixel is unusable, besides those that are not finite.

    Returns
    -------
    means : 2-D float32 `~numpy.ndarray`
        Means of the blocks, NaN where a block has no usable pixel.
    """
    high, wide = steps
    height, width = pixels.shape
    starts = np.arange(0, width, wide)
    columns = np.diff(np.append(starts, width))
    sums = np.empty((-(-height // high), starts.size))
    with np.errstate(all='ignore'):
        for row in range(sums.shape[0]):
            top = row * high
            part = pixels.rows(top, min(height, top + high))
            flags = None if mask is None else mask[top : top + high]
            # Sums of 16-bit numbers and of float32 stay exact enough in
            # float32, where adding is twice as fast.
            kind = (
                np.float32
                if part.dtype.itemsize <= 2
                or (part.dtype.kind == 'f' and part.dtype.itemsize == 4)
                else np.float64
            )
            if flags is None or not flags.any():
                line = np.add.reduce(part, axis=0, dtype=kind)
                total = np.add.reduceat(line, starts, dtype=kind)
                if np.isfinite(total).all():
                    sums[row] = total / (columns * part.shape[0])
                    continue
            sums[row] = _masked_means(part, flags, starts)
    return sums.astype(np.float32)


def _masked_means(part, flags, starts):
    part = part.astype(np.float64)
    good = np.isfinite(part)
    if flags is not None:
        good &= ~flags
    part[~good] = 0
    totals = np.add.reduceat(np.add.reduce(part, axis=0), starts)
    counts = np.add.reduceat(np.add.reduce(good, axis=0), starts)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
