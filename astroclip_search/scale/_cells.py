# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Cells of the sky, of HEALPix, that hold the partitions."""

from astroclip_search.scale._facts import ORDER

__all__ = []

# Cells are not divided further than this (26 arcsec).
_DEEPEST = 13


def divide(counts, most):
    """
    Divide the sky into cells of bounded numbers of rows.

    Parameters
    ----------
    counts : callable
        Number of rows from one index of order 29 up to another.
    most : int
        Most rows of a cell.

    Returns
    -------
    cells : list of tuple of int
        Order, pixel, number of rows; in the order of the curve.
    """
    cells = []
    stack = [(0, pixel) for pixel in reversed(range(12))]
    while stack:
        order, pixel = stack.pop()
        shift = 2 * (ORDER - order)
        n = counts(pixel << shift, (pixel + 1) << shift)
        if n > most and order < _DEEPEST:
            stack += [(order + 1, 4 * pixel + i) for i in (3, 2, 1, 0)]
        elif n:
            cells.append((order, pixel, n))
    return cells


def in_order(pixels):
    """
    Sort cells as they lie on the curve of HEALPix.

    Parameters
    ----------
    pixels : iterable of `hats.pixel_math.HealpixPixel`
        Cells of any order.

    Returns
    -------
    pixels : list
        The same.
    """
    return sorted(pixels, key=lambda p: p.pixel << 2 * (ORDER - p.order))
