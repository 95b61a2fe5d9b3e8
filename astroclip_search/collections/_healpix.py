# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Positions as unit vectors and as places on the HEALPix curve."""

import numpy as np

from astroclip_search.exceptions import CollectionError, QueryError

__all__ = []

# The finest cells that 64 bits number (0.4 mas), as in a MOC.
ORDER = 29
NOWHERE = -1


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


def cone_ranges(center, radius):
    """
    Cover a cone with ranges of HEALPix indices.

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
    import astropy.units as u
    from astropy.coordinates import Latitude, Longitude
    from mocpy import MOC

    # Cells of a 16th of the radius: some hundred of them follow the edge.
    order = int(np.clip(np.ceil(np.log2(16 / max(radius, 1e-6))), 3, ORDER))
    moc = MOC.from_cone(
        Longitude(center[0] * u.rad),
        Latitude(center[1] * u.rad),
        # The cover must not lose what lies on the edge.
        radius=min(radius * (1 + 1e-9) + 1e-12, np.pi) * u.rad,
        max_depth=order,
    )
    return moc_ranges(moc)


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
