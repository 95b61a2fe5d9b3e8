# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""How often chance does as well as a row of a catalogue."""

from pathlib import Path

import numpy as np

from astroclip_search.scale._facts import BACKGROUND

__all__ = []


class Background:
    """
    The vectors that lie with a catalogue and tell what chance does.

    Parameters
    ----------
    facts : CatalogFacts
        What is known of the catalogue.
    """

    def __init__(self, facts):
        path = Path(facts.home) / BACKGROUND
        self._known = None
        if path.exists():
            with np.load(path, allow_pickle=False) as known:
                self._known = dict(known)

    def rates(self, query):
        """
        Find how often chance does as well, as a collection does.

        Parameters
        ----------
        query : (d,) `~numpy.ndarray`, float32
            Unit vector.

        Returns
        -------
        rates : BackgroundRates or None
            A function of the similarity; None without a background.
        """
        from astroclip_search.collections._rank import approximate_values
        from astroclip_search.collections.calibration import BackgroundRates

        if self._known is None:
            return None
        if 'vectors' in self._known:
            values = self._known['vectors'].astype(np.float32) @ query
        else:
            values = approximate_values(
                self._known['codes'], self._known['scales'], query
            )
        return BackgroundRates(values)
