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
    means : 2-D float32 or float64 `~numpy.ndarray`
        Means of the blocks, NaN where a block has no usable pixel.
    """
    high, wide = steps
    height, width = pixels.shape
    starts = np.arange(0, width, wide)
    tops = np.arange(0, height, high)
    columns = np.diff(np.append(starts, width))
    counts = np.diff(np.append(tops, height))
    kind = pixels.rows(0, 1).dtype
    # Sums of 16-bit numbers and of float32 stay exact enough in float32, and
    # take half the time.
    fast = kind.itemsize <= 2 or (kind.kind == 'f' and kind.itemsize == 4)
    lines = np.empty((tops.size, width), np.float32 if fast else np.float64)
    with np.errstate(all='ignore'):
        for row, top in enumerate(tops):
            part = pixels.rows(top, top + high)
            np.add.reduce(part, axis=0, dtype=lines.dtype, out=lines[row])
        means = _row_sums(lines, wide)
        means /= counts[:, np.newaxis] * columns
        doubtful = ~np.isfinite(means).all(axis=1)
        if mask is not None:
            doubtful |= np.logical_or.reduceat(mask.any(axis=1), tops)
        for row in np.flatnonzero(doubtful):
            rows = slice(tops[row], tops[row] + high)
            flags = None if mask is None else mask[rows]
            part = pixels.rows(rows.start, rows.stop)
            means[row] = _masked_means(part, flags, starts)
        return means


def _row_sums(lines, wide):
    """Sums of neighbouring pixels along rows; a short block comes last."""
    whole = lines.shape[1] // wide
    blocks = lines[:, : whole * wide].reshape(-1, whole, wide)
    # Three times as fast as ufuncs are on so short an axis.
    sums = np.einsum('ijk->ij', blocks)
    rest = lines[:, whole * wide :]
    if rest.shape[1] == 0:
        return sums
    return np.hstack([sums, rest.sum(axis=1, keepdims=True)])


def _masked_means(part, flags, starts):
    part = part.astype(np.float64)
    good = np.isfinite(part)
    if flags is not None:
        good &= ~flags
    part[~good] = 0
    totals = np.add.reduceat(np.add.reduce(part, axis=0), starts)
    counts = np.add.reduceat(np.add.reduce(good, axis=0), starts)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
