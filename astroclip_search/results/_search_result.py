# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The table that a search returns."""

import numpy as np
from astropy.table import Column

from astroclip_search.exceptions import QueryError
from astroclip_search.results._base import ResultTable
from astroclip_search.results._columns import (
    filled_floats,
    numbers,
    result_column,
    separation,
)
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
        rate = numbers('false_match_rate', false_match_rate, n)
        score = None if false_match_rate is None else 1.0 - np.asarray(rate)
        columns = [
            result_column('rank', Column(np.arange(1, n + 1))),
            *(
                result_column(name, rows[name])
                for name in rows.colnames
                if name not in _ADDED
            ),
            numbers('similarity', similarity, n),
            numbers('score', score, n),
            rate,
        ]
        result = cls()
        result._make_table_from_cols(result, columns)
        if position is not None:
            apart = separation(result, position)
            result['separation'] = result_column('separation', apart)
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

    def to_obscore(self):
        """
        Keep the columns that ObsCore demands, all of them, in its order.

        Returns
        -------
        table : `~astropy.table.QTable`
            The mandatory columns of IVOA ObsCore 1.1; unknown ones masked.
        """
        from astroclip_search.results._votable import to_obscore

        return to_obscore(self)

    def to_moc(self, *, max_depth=12):
        """
        Make the MOC of the footprints of the rows.

        A row counts with its ``s_region``, else a circle of diameter
        ``s_fov``, else the cell that its position lies in.

        Parameters
        ----------
        max_depth : int, optional
            HEALPix order of the smallest cells; 12 is 0.9 arcmin.

        Returns
        -------
        moc : `mocpy.MOC`
            Union of the footprints; empty where no row has a position.

        Raises
        ------
        QueryError
            If ``max_depth`` is not 0 to 29.
        """
        from astroclip_search.results._sky import to_moc

        return to_moc(self, max_depth=max_depth)

    def to_regions(self):
        """
        Make regions of the footprints, as for a DS9 region file.

        Returns
        -------
        regions : `regions.Regions`
            Sky polygons, circles and points (ICRS) labelled with the
            target; ``write('rows.reg', format='ds9')`` writes them.

        Raises
        ------
        MissingDependencyError
            If the package ``regions`` is not installed.
        """
        from astroclip_search.results._sky import to_regions

        return to_regions(self)

    def send(self, client=None, *, name='astroclip_search'):
        """
        Send the table to other programs over SAMP.

        Parameters
        ----------
        client : str, optional
            Name of a program on the hub, as ``'topcat'``; the default is
            every program that loads VOTables.
        name : str, optional
            Name under which the table appears there.

        Returns
        -------
        clients : list of str
            Names of the programs that took it.

        Raises
        ------
        QueryError
            If no hub runs, or no such program is connected.
        """
        from astroclip_search.results._send import send

        return send(self, client=client, name=name)

    def show_aladin(self, *, aladin=None, survey=None):
        """
        Show the rows in Aladin Lite, in a notebook.

        Parameters
        ----------
        aladin : `ipyaladin.Aladin`, optional
            A widget to add the table to; the default is a new one.
        survey : str, optional
            HiPS below the table; the default is ``conf.hips_survey``.

        Returns
        -------
        aladin : `ipyaladin.Aladin`
            The widget.

        Raises
        ------
        QueryError
            If no row has a position.
        MissingDependencyError
            If ipyaladin is not installed.
        """
        from astroclip_search.results._send import show_aladin

        return show_aladin(self, aladin=aladin, survey=survey)

    def plot(self, *, columns=5, limit=20, fetch=False, dark=False):
        """
        Draw the pictures of the rows with their scores.

        A picture comes from the row's file where it is at hand, else from
        its thumbnail, else, if asked, from its address. Scale bar and north
        arrow are drawn where the WCS of the file is known.

        Parameters
        ----------
        columns : int, optional
            Pictures in a line.
        limit : int, optional
            Most pictures.
        fetch : bool, optional
            Whether to download pictures from ``access_url``.
        dark : bool, optional
            Whether the background is dark.

        Returns
        -------
        figure : `matplotlib.figure.Figure`
            The figure.

        Raises
        ------
        QueryError
            If there are no rows.
        MissingDependencyError
            If matplotlib is not installed.
        """
        from astroclip_search.results._plot import plot

        return plot(self, columns=columns, limit=limit, fetch=fetch, dark=dark)

    def plot_sky(self, *, coverage=None, zoom=None, dark=False):
        """
        Draw the positions of the rows on the sky.

        Parameters
        ----------
        coverage : `mocpy.MOC`, optional
            Drawn below, as ``collection.coverage()``.
        zoom : bool, optional
            Whether to draw only the part with rows (gnomonic) or the whole
            sky (Mollweide); the default is the part where it is small.
        dark : bool, optional
            Whether the background is dark.

        Returns
        -------
        figure : `matplotlib.figure.Figure`
            With `~astropy.visualization.wcsaxes.WCSAxes`.

        Raises
        ------
        QueryError
            If no row has a position.
        MissingDependencyError
            If matplotlib is not installed.
        """
        from astroclip_search.results._plot_sky import plot_sky

        return plot_sky(self, coverage=coverage, zoom=zoom, dark=dark)

    def similarity_histogram(self, *, background=None, bins=40, dark=False):
        """
        Draw how the similarities of the rows are distributed.

        Parameters
        ----------
        background : (m,) array_like of float, optional
            Similarities of other rows with the query, drawn behind.
        bins : int, optional
            Number of bins.
        dark : bool, optional
            Whether the background is dark.

        Returns
        -------
        figure : `matplotlib.figure.Figure`
            The figure.

        Raises
        ------
        QueryError
            If no row has a similarity.
        MissingDependencyError
            If matplotlib is not installed.
        """
        from astroclip_search.results._plot import similarity_histogram

        return similarity_histogram(
            self, background=background, bins=bins, dark=dark
        )

    def _repr_html_(self):
        from astroclip_search.results._html import search_result_html

        return search_result_html(self)


_ADDED = frozenset(
    {'rank', 'similarity', 'score', 'false_match_rate', 'separation'}
)
