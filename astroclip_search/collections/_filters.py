# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Filters by place on the sky, and all filters together."""

from dataclasses import dataclass

import numpy as np

from astroclip_search.collections._healpix import (
    cone_ranges,
    moc_ranges,
    rows_in_ranges,
    rows_of_runs,
    unit_vectors,
)
from astroclip_search.collections._where import where_rows
from astroclip_search.exceptions import QueryError

__all__ = []

# Below this many rows a cover costs more than looking at them all.
_SMALL = 50_000


@dataclass
class Cone:
    """
    A circle on the sky.

    Attributes
    ----------
    lon, lat : float
        ICRS position of the centre in radian.
    radius : float
        Radius in radian.
    """

    lon: float
    lat: float
    radius: float

    @classmethod
    def from_position(cls, position, radius):
        """
        Make a cone of what a user gives.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord`
            The centre.
        radius : `~astropy.units.Quantity`
            The radius.

        Returns
        -------
        cone : Cone
            The cone.

        Raises
        ------
        QueryError
            If either is not what it should be.
        """
        position = check_position(position)
        unit = getattr(radius, 'unit', None)
        if unit is None or unit.physical_type != 'angle':
            msg = (
                f'radius={radius!r} is no angle; give it a unit, as '
                'radius=5 * u.arcmin'
            )
            raise QueryError(msg)
        radius = float(radius.to_value('rad'))
        if not 0 <= radius <= np.pi * (1 + 1e-12):
            msg = (
                f'radius={np.degrees(radius):g} deg is not between 0 and '
                '180 deg'
            )
            raise QueryError(msg)
        return cls(position.ra.rad, position.dec.rad, min(radius, np.pi))

    def contains(self, xyz):
        """
        Test positions.

        Parameters
        ----------
        xyz : (n, 3) `~numpy.ndarray`
            Unit vectors; not-a-number where unknown.

        Returns
        -------
        inside : (n,) `~numpy.ndarray` of bool
            True inside and on the edge.
        """
        # Chords keep their precision where cosines lose it; beyond 90 deg
        # the chord from the opposite point does.
        center, radius = unit_vectors(self.lon, self.lat), self.radius
        if radius > np.pi / 2:
            far = xyz + center
            limit = 4 * np.sin((np.pi - radius) / 2) ** 2
            return np.einsum('ij,ij->i', far, far) >= limit
        gap = xyz - center
        limit = 4 * np.sin(radius / 2) ** 2
        return np.einsum('ij,ij->i', gap, gap) <= limit


def check_position(position):
    """
    See that a position is one.

    Parameters
    ----------
    position : object
        What was given.

    Returns
    -------
    position : `~astropy.coordinates.SkyCoord`
        A scalar in ICRS.

    Raises
    ------
    QueryError
        If it is anything else.
    """
    icrs = position
    if getattr(position, 'name', None) != 'icrs':  # makes a copy otherwise
        icrs = getattr(position, 'icrs', None)
    if icrs is None:
        msg = (
            f'position={position!r} is no SkyCoord; give '
            'SkyCoord(ra, dec) with units'
        )
        raise QueryError(msg)
    if icrs.shape == (1,):
        icrs = icrs[0]
    if icrs.shape != () or not np.isfinite([icrs.ra.deg, icrs.dec.deg]).all():
        msg = f'position={position!r} is not one position on the sky'
        raise QueryError(msg)
    return icrs


def cone_rows(snapshot, cone, rows=None):
    """
    Rows in a cone.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    cone : Cone
        The cone.
    rows : (k,) `~numpy.ndarray` of int64, optional
        Rows to choose from.

    Returns
    -------
    rows : (m,) `~numpy.ndarray`, int64
        The chosen ones, ascending.
    """
    chosen, ranges = [], None
    for start, segment in zip(
        snapshot.starts, snapshot.segments, strict=False
    ):
        if len(segment) > _SMALL and cone.radius < 1:
            if ranges is None:
                ranges = cone_ranges((cone.lon, cone.lat), cone.radius)
            # Segments are parts of the sky after compaction.
            low, high = segment.info.hpx
            if not len(ranges) or ranges[-1, 1] <= low or ranges[0, 0] > high:
                continue
            runs = rows_in_ranges(segment.hpx, ranges)
            near = rows_of_runs(runs)
            near = near[cone.contains(segment.xyz[near])]
        else:
            near = np.flatnonzero(cone.contains(segment.xyz))
        chosen.append(near + start)
    return _among(snapshot, chosen, rows)


def moc_rows(snapshot, moc, rows=None):
    """
    Rows in a MOC.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    moc : `mocpy.MOC`
        The MOC.
    rows : (k,) `~numpy.ndarray` of int64, optional
        Rows to choose from.

    Returns
    -------
    rows : (m,) `~numpy.ndarray`, int64
        The chosen ones, ascending.

    Raises
    ------
    QueryError
        If it is no spatial MOC.
    """
    if not hasattr(moc, 'to_depth29_ranges') or not hasattr(moc, 'from_cone'):
        msg = f'moc={moc!r} is no mocpy.MOC; read one with MOC.load'
        raise QueryError(msg)
    ranges = moc_ranges(moc)
    chosen = [
        rows_of_runs(rows_in_ranges(segment.hpx, ranges)) + start
        for start, segment in zip(
            snapshot.starts, snapshot.segments, strict=False
        )
    ]
    return _among(snapshot, chosen, rows)


def _among(snapshot, chosen, rows):
    chosen = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    if rows is None:
        return snapshot.without_removed(chosen)
    return np.intersect1d(chosen, rows, assume_unique=True)


def positions(snapshot, rows):
    """
    Places of rows on the sky.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    rows : (k,) `~numpy.ndarray`, int64
        Rows.

    Returns
    -------
    xyz : (k, 3) `~numpy.ndarray`, float64
        Unit vectors; not-a-number where unknown.
    """
    out = np.empty((len(rows), 3))
    for segment, places, mine in snapshot.parts(rows):
        out[places] = segment.xyz[mine]
    return out


def filter_rows(
    snapshot,
    *,
    position=None,
    radius=None,
    region=None,
    moc=None,
    where=None,
    mask=None,
):
    """
    Apply filters, one after the other.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    position, radius, region, moc, where, mask : object, optional
        As `Collection.search` takes them.

    Returns
    -------
    rows : (k,) `~numpy.ndarray` of int64 or None
        Rows that passed, ascending; None if nothing was filtered.
    counts : dict
        Rows left after each filter.

    Raises
    ------
    QueryError
        If a filter cannot be understood.
    """
    rows, counts = None, {'collection': snapshot.n_alive}
    if radius is not None:
        if position is None:
            msg = f'radius={radius} needs position=, the centre of the cone'
            raise QueryError(msg)
        rows = cone_rows(snapshot, Cone.from_position(position, radius))
        counts['cone'] = len(rows)
    if moc is not None:
        rows = moc_rows(snapshot, moc, rows)
        counts['moc'] = len(rows)
    if region is not None:
        from astroclip_search.collections._regions import region_rows

        rows = region_rows(snapshot, region, rows)
        counts['region'] = len(rows)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.shape != (snapshot.n_alive,):
            msg = (
                f'mask has the type {mask.dtype} and the shape {mask.shape}; '
                f'give {snapshot.n_alive} booleans, one for each row of '
                'table()'
            )
            raise QueryError(msg)
        passed = snapshot.all_rows()[mask]
        rows = passed if rows is None else np.intersect1d(passed, rows, True)
        counts['mask'] = len(rows)
    if where is not None:
        rows, passed = where_rows(snapshot, where, rows)
        counts.update({f'where {name}': n for name, n in passed.items()})
    return rows, counts
