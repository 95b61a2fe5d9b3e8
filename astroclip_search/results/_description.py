# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The table that a description is."""

import numpy as np

from astroclip_search.exceptions import QueryError
from astroclip_search.obscore import annotate
from astroclip_search.results._base import ResultTable
from astroclip_search.results._meta import provenance

__all__ = ['NULL_LABEL', 'Description']

NULL_LABEL = '(none of these)'


class Description(ResultTable):
    """
    The classes of a vocabulary in the order in which they fit an image.

    Columns are ``rank``, ``label``, ``similarity``, ``score`` and
    ``false_match_rate``. A null row, labelled ``'(none of these)'``, stands
    where chance begins.
    """

    @classmethod
    def from_scores(
        cls,
        labels,
        *,
        similarity,
        false_match_rate,
        null_rate,
        none_of_these=None,
        meta=None,
    ):
        """
        Order classes by their false-match rate and add the null row.

        Parameters
        ----------
        labels : sequence of str of length n
            The classes.
        similarity : (n,) array_like of float
            Cosines with the image.
        false_match_rate : (n,) array_like of float
            Share of background texts that fit the image as well, 0 to 1.
        null_rate : float
            Rate at which chance begins; the null row has it.
        none_of_these : bool, optional
            Whether no class fits; by default, whether no rate is below
            ``null_rate``.
        meta : dict, optional
            Provenance; versions and date are added.

        Returns
        -------
        description : `Description`
            n + 1 rows, best first.

        Raises
        ------
        QueryError
            If the lengths do not agree.
        """
        similarity = np.asarray(similarity, dtype=np.float64)
        rate = np.asarray(false_match_rate, dtype=np.float64)
        if not len(labels) == len(similarity) == len(rate):
            msg = (
                f'{len(labels)} labels, {len(similarity)} similarities and '
                f'{len(rate)} false-match rates; give one of each for a class'
            )
            raise QueryError(msg)
        if none_of_these is None:
            none_of_these = bool(not (rate < null_rate).any())
        names = np.array([*map(str, labels), NULL_LABEL])
        rates = np.append(rate, null_rate)
        # Ties go to the higher cosine; the null row comes after its equals.
        order = np.lexsort((-np.append(similarity, -np.inf), rates))
        cosine = np.ma.masked_invalid(np.append(similarity, np.nan)[order])
        table = cls(
            {
                'rank': np.arange(1, len(names) + 1),
                'label': names[order],
                'similarity': cosine,
                'score': 1.0 - rates[order],
                'false_match_rate': rates[order],
            },
            copy=False,
        )
        table['label'].info.description = 'Class of the vocabulary'
        annotate(table)
        table.meta.update(provenance(meta))
        table.meta['none_of_these'] = bool(none_of_these)
        return table

    @property
    def none_of_these(self):
        """Whether no class of the vocabulary fits better than chance."""
        return bool(self.meta['none_of_these'])

    @property
    def best(self):
        """The best class as a `str`, or `None` where none of them fits."""
        if self.none_of_these:
            return None
        labels = [str(label) for label in self['label']]
        return next(label for label in labels if label != NULL_LABEL)

    def plot(self, *, limit=15, dark=False):
        """
        Draw the scores of the best classes, with the null row among them.

        Parameters
        ----------
        limit : int, optional
            Most classes; the null row is always drawn.
        dark : bool, optional
            Whether the background is dark.

        Returns
        -------
        figure : `matplotlib.figure.Figure`
            The figure.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        from astroclip_search.results._plot import plot_description

        return plot_description(self, limit=limit, dark=dark)

    def _repr_html_(self):
        from astroclip_search.results._html import description_html

        return description_html(self)
