# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""How often chance does as well as a row of a catalogue."""

from functools import cached_property
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
        self._vectors = None
        if path.exists():
            self._vectors = np.load(path, allow_pickle=False)

    @cached_property
    def _codes(self):
        from astroclip_search.collections._write import quantize

        return quantize(self._vectors)[:2]

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
        from astroclip_search.collections._rank import (
            _DIRECT,
            approximate_values,
        )
        from astroclip_search.collections.calibration import BackgroundRates

        if self._vectors is None:
            return None
        if len(self._vectors) <= _DIRECT:
            return BackgroundRates(self._vectors.astype(np.float32) @ query)
        return BackgroundRates(approximate_values(*self._codes, query))
