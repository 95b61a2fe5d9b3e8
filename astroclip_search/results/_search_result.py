# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The table that a search returns."""

import numpy as np
from astropy.table import Column, MaskedColumn

from astroclip_search.exceptions import QueryError
from astroclip_search.obscore import annotate
from astroclip_search.results._base import ResultTable
from astroclip_search.results._meta import provenance

__all__ = ['SearchResult']


class SearchResult(ResultTable):
    """
    Rows that a search found, best first.

    A `~astropy.table.QTable` with IVOA ObsCore column names, to which come
    ``rank``, ``similarity`` (cosine), ``score``, ``false_match_rate``, and
    ``separation`` where a position was given. Unknown values are masked.
    ``meta`` says query, collection, model fingerprint, rendering, versions
    and date.
    """

    @classmethod
    def from_rows(
        cls,
        rows,
        *,
        similarity=None,
        false_match_rate=None,
        position=None,
        thumbnails=None,
        meta=None,
    ):
        """
        Make a result of rows that are in order already.

        Parameters
        ----------
        rows : `~astropy.table.Table` of length n
            Rows of a collection with ObsCore columns, ``id`` among them.
        similarity : (n,) array_like of float, optional
            Cosine of each row with the query; masked without.
        false_match_rate : (n,) array_like of float, optional
            Share of the background at least as similar, 0 to 1; masked
            without.
        position : `~astropy.coordinates.SkyCoord`, optional
            Scalar position of the query; adds ``separation``.
        thumbnails : sequence of bytes or None, optional
            A small JPEG for each row, ``None`` where there is none.
        meta : dict, optional
            Provenance; versions and date are added.

        Returns
        -------
        result : `SearchResult`
            The rows with their places, similarities and scores.

        Raises
        ------
        QueryError
            If the lengths do not agree.
        """
        n = len(rows)
        lengths = {
            'similarity': similarity,
            'false_match_rate': false_match_rate,
            'thumbnails': thumbnails,
        }
        for name, values in lengths.items():
            if values is not None and len(values) != n:
                msg = (
                    f'{name} has {len(values)} values for {n} rows; give one '
                    'for each row'
                )
                raise QueryError(msg)
        columns = {'rank': Column(np.arange(1, n + 1, dtype=np.int64))}
        for name in rows.colnames:
            if name not in _ADDED:
                columns[name] = rows[name]
        columns['similarity'] = _floats(similarity, n)
        rate = _floats(false_match_rate, n)
        columns['score'] = _floats(
            None if false_match_rate is None else 1.0 - np.asarray(rate), n
        )
        columns['false_match_rate'] = rate
        result = cls(columns, copy=False)
        if position is not None:
            result['separation'] = _separation(result, position)
        annotate(result)
        result.meta.update(provenance(meta))
        if thumbnails is not None:
            result._acs_thumbnails = {
                str(key): value
                for key, value in zip(result['id'], thumbnails, strict=True)
                if value is not None
            }
        return result

    @property
    def coordinates(self):
        """
        Positions of the rows.

        A `~astropy.coordinates.SkyCoord` (ICRS) of the length of the table;
        rows without a position are not-a-number.
        """
        from astropy import units as u
        from astropy.coordinates import SkyCoord

        ra, dec = (self._degrees(name) for name in ('s_ra', 's_dec'))
        return SkyCoord(ra * u.deg, dec * u.deg, frame='icrs')

    def _degrees(self, name):
        if name not in self.colnames:
            return np.full(len(self), np.nan)
        return filled_floats(self[name])

    @property
    def thumbnails(self):
        """List of a small JPEG as bytes for each row, or ``None``."""
        known = getattr(self, '_acs_thumbnails', {})
        if 'id' not in self.colnames:
            return [None] * len(self)
        return [known.get(str(key)) for key in self['id']]


_ADDED = frozenset(
    {'rank', 'similarity', 'score', 'false_match_rate', 'separation'}
)


def _floats(values, n):
    if values is None:
        return MaskedColumn(np.zeros(n), mask=np.ones(n, dtype=bool))
    return Column(np.asarray(values, dtype=np.float64))


def filled_floats(column):
    """
    Plain float64 values of a column, without unit, unknown ones as NaN.

    Parameters
    ----------
    column : column or `~astropy.units.Quantity`, masked or not
        Its values; angles are taken as they are.

    Returns
    -------
    values : (n,) `~numpy.ndarray` of float64
        A new array.
    """
    mask = getattr(column, 'mask', None)
    data = getattr(column, 'value', column)  # of a Quantity
    data = getattr(data, 'unmasked', data)  # of a Masked
    values = np.array(np.ma.getdata(data), dtype=np.float64)
    if mask is not None:
        values[np.broadcast_to(mask, values.shape)] = np.nan
    return values


def _separation(result, position):
    from astropy import units as u

    separation = result.coordinates.separation(position.icrs).to(u.deg)
    bad = ~np.isfinite(separation.value)
    if bad.any():
        from astropy.utils.masked import Masked

        return Masked(u.Quantity(separation), mask=bad)
    return u.Quantity(separation)
