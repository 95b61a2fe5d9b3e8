# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Positions as unit vectors and as places on the HEALPix curve."""

from functools import lru_cache

import numpy as np

from astroclip_search.exceptions import CollectionError, QueryError

__all__ = []

# The finest cells that 64 bits number (0.4 mas), as in a MOC.
ORDER = 29
NOWHERE = -1

# Cells of 0.9 deg: a cone of one per cent of the sky is 900 of them.
_GRID = 6


def unit_vectors(ra, dec):
    """
    Unit vectors of positions.

    Parameters
    ----------
    ra, dec : (n,) array_like
        ICRS, in radian.

    Returns
    -------
    xyz : (n, 3) `~numpy.ndarray`, float64
        Cartesian coordinates.
    """
    ra, dec = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
    cosine = np.cos(dec)
    return np.stack(
        [cosine * np.cos(ra), cosine * np.sin(ra), np.sin(dec)], axis=-1
    )


def place(ra, dec, mask):
    """
    Find the places of rows on the sky.

    Parameters
    ----------
    ra, dec : (n,) `~numpy.ndarray`
        ICRS, in degree.
    mask : (n,) `~numpy.ndarray` of bool
        True where a position is unknown.

    Returns
    -------
    hpx : (n,) `~numpy.ndarray`, int64
        Nested HEALPix index at `ORDER`; `NOWHERE` where unknown.
    xyz : (n, 3) `~numpy.ndarray`, float64
        Unit vectors; not-a-number where unknown.

    Raises
    ------
    CollectionError
        If a position lies outside the sphere.
    """
    import astropy.units as u
    from astropy.coordinates import Latitude, Longitude
    from cdshealpix.nested import lonlat_to_healpix

    known = ~mask
    for name, values, low, high in (
        ('s_ra', ra, 0.0, 360.0),
        ('s_dec', dec, -90.0, 90.0),
    ):
        bad = known & ~((values >= low) & (values <= high))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            msg = (
                f'{name} of row {row} is {values[row]}; it must lie between '
                f'{low:g} and {high:g} deg, or be masked where it is unknown'
            )
            raise CollectionError(msg)
    hpx = np.full(len(ra), NOWHERE, np.int64)
    xyz = np.full((len(ra), 3), np.nan)
    if known.any():
        lon, lat = ra[known], dec[known]
        hpx[known] = lonlat_to_healpix(
            Longitude(lon * u.deg), Latitude(lat * u.deg), ORDER
        ).astype(np.int64)
        xyz[known] = unit_vectors(np.radians(lon), np.radians(lat))
    return hpx, xyz


@lru_cache(maxsize=1)
def _grid():
    """Centres of all cells of the grid, and how far their corners reach."""
    from cdshealpix.nested import healpix_to_lonlat, vertices

    cells = np.arange(12 * 4**_GRID, dtype=np.uint64)
    lon, lat = healpix_to_lonlat(cells, _GRID)
    centers = unit_vectors(lon.rad, lat.rad)
    lon, lat = vertices(cells, _GRID)
    corners = unit_vectors(lon.rad, lat.rad)
    chord = np.linalg.norm(corners - centers[:, None], axis=-1).max()
    # The sides are no great circles; they bulge by less than this.
    return centers, 1.05 * 2 * np.arcsin(chord / 2)


def cone_ranges(center, radius):
    """
    Cover a cone with ranges of HEALPix indices.

    All cells of a grid whose centres are near enough are taken. (The covers
    of mocpy 0.21 lack cells now and then where a cone meets the prime
    meridian, and importing it takes longer than the search.)

    Parameters
    ----------
    center : tuple of float
        Right ascension and declination in radian.
    radius : float
        Radius in radian.

    Returns
    -------
    ranges : (k, 2) `~numpy.ndarray`, int64
        Ascending half-open ranges at `ORDER`, which hold the cone and a
        little more.
    """
    centers, reach = _grid()
    near = min(radius + reach, np.pi)
    cells = np.flatnonzero(centers @ unit_vectors(*center) >= np.cos(near))
    starts = np.flatnonzero(np.diff(cells, prepend=-2) > 1)
    first = cells[starts]
    last = cells[np.append(starts[1:], len(cells)) - 1]
    return np.stack([first, last + 1], axis=1) << (2 * (ORDER - _GRID))


def moc_ranges(moc):
    """
    Ranges of a MOC.

    Parameters
    ----------
    moc : `mocpy.MOC`
        The MOC.

    Returns
    -------
    ranges : (k, 2) `~numpy.ndarray`, int64
        Ascending half-open ranges at `ORDER`.
    """
    ranges = np.asarray(moc.to_depth29_ranges, np.uint64)
    return ranges.reshape(-1, 2).astype(np.int64)


def rows_in_ranges(hpx, ranges):
    """
    Find the rows whose index lies in ranges.

    Parameters
    ----------
    hpx : (n,) `~numpy.ndarray`, int64
        Ascending HEALPix indices.
    ranges : (k, 2) `~numpy.ndarray`, int64
        Ascending half-open ranges.

    Returns
    -------
    runs : (m, 2) `~numpy.ndarray`, int64
        First row and the row after the last of each run that is not empty;
        runs that touch are joined.
    """
    runs = np.searchsorted(hpx, ranges)
    runs = runs[runs[:, 1] > runs[:, 0]]
    if len(runs) > 1:
        starts = np.append(True, runs[1:, 0] > runs[:-1, 1])
        ends = np.append(starts[1:], True)
        runs = np.stack([runs[starts, 0], runs[ends, 1]], axis=1)
    return runs


def rows_of_runs(runs):
    """
    Write runs out.

    Parameters
    ----------
    runs : (m, 2) `~numpy.ndarray`, int64
        Ascending half-open runs.

    Returns
    -------
    rows : (n,) `~numpy.ndarray`, int64
        Their rows.
    """
    lengths = runs[:, 1] - runs[:, 0]
    total = int(lengths.sum())
    shifts = runs[:, 0] - np.append(0, np.cumsum(lengths)[:-1])
    return np.arange(total) + np.repeat(shifts, lengths)


def rows_moc(snapshot, order):
    """
    Cells that hold rows.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    order : int
        HEALPix order of the cells.

    Returns
    -------
    moc : `mocpy.MOC`
        The cells.

    Raises
    ------
    QueryError
        If there is no such order.
    """
    from mocpy import MOC

    if not isinstance(order, int | np.integer) or not 0 <= order <= ORDER:
        msg = f'order={order!r} is no HEALPix order from 0 to {ORDER}'
        raise QueryError(msg)
    cells = [np.empty(0, np.uint64)]
    for segment in snapshot.segments:
        hpx = segment.hpx
        if segment.alive is not None:
            hpx = hpx[segment.alive]
        hpx = hpx[hpx != NOWHERE] >> (2 * (ORDER - order))
        cells.append(np.unique(hpx).astype(np.uint64))
    cells = np.unique(np.concatenate(cells))
    depth = np.full(len(cells), order, np.uint8)
    return MOC.from_healpix_cells(cells, depth, order)
